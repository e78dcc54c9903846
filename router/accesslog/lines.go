package accesslog

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// JSON returns a listener that writes one JSON object for each request, with the time, level, message and fields of a
// record of log/slog's JSONHandler. Each line is one call of Write, from several goroutines at once. Write errors are
// ignored: the line is lost.
func JSON(w io.Writer) Listener { return lines(w, AppendJSON) }

// Text returns a listener like JSON, in the format of log/slog's TextHandler.
func Text(w io.Writer) Listener { return lines(w, appendText) }

// lines returns a listener that encodes records and writes them. No encoding waits for another.
func lines(w io.Writer, encode func([]byte, *Record) []byte) Listener {
	buffers := sync.Pool{New: func() any { b := make([]byte, 0, 1<<10); return &b }}
	return func(rec *Record) {
		line := buffers.Get().(*[]byte)
		*line = append(encode((*line)[:0], rec), '\n')
		_, _ = w.Write(*line)
		if cap(*line) <= maxLineBytes {
			buffers.Put(line)
		}
	}
}

// Ended returns the time of the request's end, which is that of its line.
func (rec *Record) Ended() time.Time { return rec.Time.Add(rec.TTLB) }

// AppendJSON appends the line of JSON, without a line break.
func AppendJSON(line []byte, rec *Record) []byte {
	line = append(line, `{"time":"`...)
	line = rec.Ended().AppendFormat(line, time.RFC3339Nano)
	line = append(line, `","level":"`...)
	line = append(line, rec.Level().String()...)
	line = append(line, `","msg":"`+Message+`"`...)
	var fields [maxFields]slog.Attr
	for _, f := range appendFields(fields[:0], rec) {
		line = append(line, ',', '"')
		line = append(line, f.Key...)
		line = append(line, '"', ':')
		if f.Value.Kind() == slog.KindString {
			line = AppendJSONString(line, f.Value.String())
		} else {
			line = appendNumber(line, f.Value)
		}
	}
	return append(line, '}')
}

func appendText(line []byte, rec *Record) []byte {
	line = append(line, "time="...)
	line = rec.Ended().AppendFormat(line, "2006-01-02T15:04:05.000Z07:00")
	line = append(line, " level="...)
	line = append(line, rec.Level().String()...)
	line = append(line, " msg="+Message...)
	var fields [maxFields]slog.Attr
	for _, f := range appendFields(fields[:0], rec) {
		line = append(line, ' ')
		line = append(line, f.Key...)
		line = append(line, '=')
		switch s := f.Value; {
		case s.Kind() != slog.KindString:
			line = appendNumber(line, s)
		case isWord(s.String()):
			line = append(line, s.String()...)
		default:
			line = strconv.AppendQuote(line, s.String())
		}
	}
	return line
}

// appendNumber appends a value of a field that is not a string.
func appendNumber(line []byte, v slog.Value) []byte {
	if v.Kind() == slog.KindUint64 {
		return strconv.AppendUint(line, v.Uint64(), 10)
	}
	return strconv.AppendInt(line, v.Int64(), 10)
}

// AppendJSONString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendJSONString(line []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] >= 0x7f || s[i] == '"' || s[i] == '\\' {
			return appendOddJSONString(line, s)
		}
	}
	line = append(line, '"')
	line = append(line, s...)
	return append(line, '"')
}

func appendOddJSONString(line []byte, s string) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string and a buffer cannot fail
	return append(line, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

// isWord reports whether the text format has s without quotes.
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r == ' ' || r == '"' || r == '=' || r == utf8.RuneError || !unicode.IsPrint(r)
	})
}
