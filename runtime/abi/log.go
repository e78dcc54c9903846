package abi

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

const (
	// MaxLineBytes is the longest log line of a guest. Longer lines are split.
	MaxLineBytes = 4 << 10
	// MaxLogBytes is the size of the log records that a guest may write
	// in one request. The rest is dropped, and one line reports that.
	MaxLogBytes = 64 << 10
	// LineOverheadBytes is the size of a log record without
	// the line: time, level, service and digest, rounded up.
	LineOverheadBytes = 256
)

// RecordBytes returns the size of the log record of a line, including escapes. It rounds up.
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

// Lines splits a guest's output into log lines, and limits both line length and
// total size. It implements io.Writer and never fails, so that the limits do
// not affect the guest. The message of a panic, and what follows it, has LevelError.
// The zero value drops everything; call Reset before use.
type Lines struct {
	log      func(Level, []byte)
	level    Level
	line     []byte
	left     int
	panicked bool // a line began with panicPrefix
}

// Reset begins a new request.
func (l *Lines) Reset(log func(Level, []byte), level Level) {
	l.log, l.level, l.line, l.left, l.panicked = log, level, l.line[:0], MaxLogBytes, false
}

// Renew restores the full log limit. A partial line is kept.
func (l *Lines) Renew() { l.left = MaxLogBytes }

// Write implements io.Writer.
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

// Flush logs a partial line.
func (l *Lines) Flush() {
	if len(l.line) > 0 {
		l.emit()
	}
}

// Line logs one line at its own level, within the same limits.
func (l *Lines) Line(level Level, line []byte) {
	for len(line) > MaxLineBytes && l.left > 0 {
		l.send(level, line[:MaxLineBytes])
		line = line[MaxLineBytes:]
	}
	l.send(level, line)
}

func (l *Lines) emit() {
	if l.panicked = l.panicked || bytes.HasPrefix(l.line, []byte(panicPrefix)); l.panicked {
		l.level = LevelError
	}
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
