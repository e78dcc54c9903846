// Package stdio holds the standard streams of a command, and what commands print to them in the same way.
package stdio

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
)

// Streams are the input and outputs of a command.
type Streams struct {
	In  io.Reader
	Out io.Writer // the result of the command
	Err io.Writer // errors, logs and progress
}

// Interactive reports whether standard error is a terminal.
func (s Streams) Interactive() bool { return IsTerminal(s.Err) }

// Report prints the error of a failed command.
func (s Streams) Report(err error) {
	fmt.Fprintf(s.Err, "%s %s\n", PaintFor(s.Err).Red("vespo:"), strings.TrimRight(err.Error(), "\n"))
}

// Reported is an error that was already printed.
type Reported struct{ error }

// ReportNow prints err and returns it as one that was printed.
func (s Streams) ReportNow(err error) error {
	s.Report(err)
	return AsReported(err)
}

// AsReported returns err as one that was printed.
func AsReported(err error) error { return Reported{err} }

// IsReported reports whether err was already printed.
func IsReported(err error) bool {
	var told Reported
	return errors.As(err, &told)
}

// Printable replaces the characters of text from elsewhere that could
// affect the terminal beyond its place, such as escape sequences. Those in kept stay, such as line ends.
func Printable(s string, kept ...rune) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || slices.Contains(kept, r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
