package abi

import "bytes"

const (
	// MaxLineBytes is the longest log line of a guest; longer ones are split.
	MaxLineBytes = 4 << 10
	// MaxLogBytes is how much a guest may log during one request; what comes after it is dropped, and one line says so.
	MaxLogBytes = 64 << 10
	// LineOverheadBytes is what a line counts besides its length: it is a record in the log, also if it is empty.
	LineOverheadBytes = 32
)

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
	if l.left -= len(line) + LineOverheadBytes; l.left <= 0 {
		l.log(LevelWarn, []byte("the guest's output is cut here: it logs too much in one request"))
		return
	}
	l.log(level, bytes.TrimSuffix(line, []byte("\r")))
}
