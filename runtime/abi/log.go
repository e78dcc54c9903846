package abi

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

const (
	// MaxLineBytes is the longest log line of a guest; longer ones are split.
	MaxLineBytes = 4 << 10
	// MaxLogBytes is how much a guest may add to the log during one request, records included; what comes after it is dropped, and one line says so.
	MaxLogBytes = 64 << 10
	// LineOverheadBytes is what a record of the log has besides the line: time, level, service and digest, rounded up.
	LineOverheadBytes = 256
)

// RecordBytes returns the size of the record of a line, with what escaping adds. It rounds up.
func RecordBytes(line []byte) int {
	n := LineOverheadBytes
	for len(line) > 0 {
		r, size := utf8.DecodeRune(line)
		line = line[size:]
		switch {
		case r == utf8.RuneError && size == 1:
			n += len(`\xff`)
		case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t':
			n += 2
		case strconv.IsPrint(r):
			n += size
		default:
			n += len(`\U0010ffff`)
		}
	}
	return n
}

// Lines cuts what a guest writes into log lines, and bounds both. It implements io.Writer and never fails, so that a
// guest does not notice. The zero value drops everything; Reset makes it usable.
type Lines struct {
	log   func(Level, []byte)
	level Level
	line  []byte
	left  int
}

// Reset begins a new request.
func (l *Lines) Reset(log func(Level, []byte), level Level) {
	l.log, l.level, l.line, l.left = log, level, l.line[:0], MaxLogBytes
}

// Renew lets as much be logged again as after Reset; a line that has begun goes on.
func (l *Lines) Renew() { l.left = MaxLogBytes }

// Write takes a piece of output.
func (l *Lines) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && l.log != nil && l.left > 0 {
		at := bytes.IndexByte(p, '\n')
		piece := p
		if at >= 0 {
			piece = p[:at]
		}
		take := min(len(piece), MaxLineBytes-len(l.line))
		l.line = append(l.line, piece[:take]...)
		p = p[take:]
		switch {
		case take < len(piece):
			l.Flush()
		case at >= 0:
			p = p[1:]
			l.emit()
		}
	}
	return n, nil
}

// Flush logs what has no newline yet.
func (l *Lines) Flush() {
	if len(l.line) > 0 {
		l.emit()
	}
}

// Line logs one line at a level of its own, within the same bounds.
func (l *Lines) Line(level Level, line []byte) {
	for len(line) > MaxLineBytes && l.left > 0 {
		l.send(level, line[:MaxLineBytes])
		line = line[MaxLineBytes:]
	}
	l.send(level, line)
}

func (l *Lines) emit() {
	l.send(l.level, l.line)
	l.line = l.line[:0]
}

func (l *Lines) send(level Level, line []byte) {
	if l.log == nil || l.left <= 0 {
		return
	}
	if l.left -= RecordBytes(line); l.left <= 0 {
		l.log(LevelWarn, []byte("the guest's output is cut here: it logs too much in one request"))
		return
	}
	l.log(level, bytes.TrimSuffix(line, []byte("\r")))
}
