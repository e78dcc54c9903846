package accesslog

import (
	"bytes"
	"encoding/json"
	"io"
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
	to := encoder{format: asJSON, line: line}
	fieldsOf(rec, &to)
	return append(to.line, '}')
}

func appendText(line []byte, rec *Record) []byte {
	line = append(line, "time="...)
	line = rec.Ended().AppendFormat(line, "2006-01-02T15:04:05.000Z07:00")
	line = append(line, " level="...)
	line = append(line, rec.Level().String()...)
	line = append(line, " msg="+Message...)
	to := encoder{format: asText, line: line}
	fieldsOf(rec, &to)
	return to.line
}

// AppendJSONString appends s as a JSON string. Invalid UTF-8 becomes U+FFFD.
func AppendJSONString(line []byte, s string) []byte {
	if traitsOf(s)&(unprintable|escaped) != 0 {
		return appendOddJSONString(line, s)
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
	if has := traitsOf(s); has&quoted != 0 || s == "" {
		return false
	} else if has&unprintable == 0 {
		return true
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) })
}
