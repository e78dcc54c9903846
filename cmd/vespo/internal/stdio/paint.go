package stdio

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Paint colours text for a terminal. The zero Paint leaves it plain.
type Paint struct{ on bool }

// PaintFor returns the Paint for a stream. It is plain unless the stream is a terminal that can show colours, and the user
// has not switched them off with NO_COLOR (https://no-color.org).
func PaintFor(w io.Writer) Paint {
	return Paint{on: IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Bold is for the titles of columns.
func (p Paint) Bold(s string) string { return p.with("1", s) }

// Red is for failures.
func (p Paint) Red(s string) string { return p.with("31", s) }

// Yellow is for warnings.
func (p Paint) Yellow(s string) string { return p.with("33", s) }

// Faint is for what the eye may skip, such as the names of fields.
func (p Paint) Faint(s string) string { return p.with("2", s) }

func (p Paint) with(code, s string) string {
	if !p.on || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Columns returns the width of a terminal, or 0 if the stream is none.
func Columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}
