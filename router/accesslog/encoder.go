package accesslog

import (
	"log/slog"
	"strconv"
)

// Formats of an encoder. The first two are indexes of field.begin.
const (
	asJSON = iota
	asText
	asAttrs
)

// encoder takes the fields of a record in one of the formats. It is a type for all of them: calls of an interface would move it to
// the heap, for each record.
type encoder struct {
	format int
	line   []byte      // of asJSON and asText
	attrs  []slog.Attr // of asAttrs
}

// attrsOf returns the fields of a record for log/slog.
func attrsOf(rec *Record) []slog.Attr {
	to := encoder{format: asAttrs}
	fieldsOf(rec, &to)
	return to.attrs
}

func (e *encoder) word(f *field, value string) {
	if e.format == asAttrs {
		e.attrs = append(e.attrs, slog.String(f.name, value))
		return
	}
	line := append(e.line, f.begin[e.format]...)
	switch {
	case e.format == asJSON:
		line = AppendJSONString(line, value)
	case isWord(value):
		line = append(line, value...)
	default:
		line = strconv.AppendQuote(line, value)
	}
	e.line = line
}

func (e *encoder) signed(f *field, value int64) {
	if e.format == asAttrs {
		e.attrs = append(e.attrs, slog.Int64(f.name, value))
		return
	}
	e.line = strconv.AppendInt(append(e.line, f.begin[e.format]...), value, 10)
}

func (e *encoder) unsigned(f *field, value uint64) {
	if e.format == asAttrs {
		e.attrs = append(e.attrs, slog.Uint64(f.name, value))
		return
	}
	e.line = strconv.AppendUint(append(e.line, f.begin[e.format]...), value, 10)
}
