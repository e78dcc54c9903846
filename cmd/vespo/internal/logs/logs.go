package logs

import (
	"bytes"
	"context"
	"io"
	"log/slog"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// Form is the form of a log.
type Form string

// The forms. Auto is Eyes on a terminal, and Text elsewhere.
const (
	Auto Form = "auto"
	Eyes Form = "eyes"
	Text Form = "text"
	JSON Form = "json"
)

// For returns the form for a stream. It is never Auto.
func (f Form) For(stream io.Writer) Form {
	switch {
	case f != Auto && f != "":
		return f
	case stdio.IsTerminal(stream):
		return Eyes
	}
	return Text
}

// NewHandler returns a handler that writes records of at least the level to w. Each record is one call of Write. paint is
// for Eyes. The form must not be Auto.
func NewHandler(w io.Writer, form Form, level slog.Level, paint stdio.Paint) slog.Handler {
	switch form {
	case Eyes:
		return &eyes{w: w, level: level, paint: paint}
	case JSON:
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})
	}
	return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})
}

// Lines returns a writer that logs each line as a message at the level. Each call of Write takes whole lines. Empty lines
// are left out.
func Lines(h slog.Handler, level slog.Level) io.Writer { return &lines{slog.New(h), level} }

type lines struct {
	log   *slog.Logger
	level slog.Level
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 {
			l.log.Log(context.Background(), l.level, string(line))
		}
	}
	return len(p), nil
}
