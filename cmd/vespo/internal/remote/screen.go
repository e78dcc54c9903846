package remote

import (
	"bytes"
	"encoding/json"
	"io"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
)

// screen is where a command shows its result.
type screen struct {
	io.Writer
	paint   stdio.Paint
	columns int       // of the terminal; 0: it is none, and no text is cut
	now     time.Time // for ages
}

func newScreen(w io.Writer) *screen {
	return &screen{Writer: w, paint: stdio.PaintFor(w), columns: stdio.Columns(w), now: time.Now()}
}

// age returns the time since t, in the largest unit.
func (s *screen) age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return ageText(s.now.Sub(t))
}

// ago returns the time since t, and t itself.
func (s *screen) ago(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return s.age(t) + " ago (" + t.Local().Format(time.DateTime) + ")"
}

// until returns the time until t, and t itself.
func (s *screen) until(t time.Time) string {
	return "in " + leftText(t.Sub(s.now)) + " (" + t.Local().Format(time.DateTime) + ")"
}

// formatJSON is the --format that prints the server's response, indented on a terminal and otherwise unchanged.
const formatJSON = "json"

// show writes a response in the chosen format: JSON, or the text of what it describes.
func show[T any](f *clientFlags, s stdio.Streams, a *Answer, text func(*screen, *T) error) error {
	if f.Format == formatJSON {
		return writeJSON(newScreen(s.Out), a.Body)
	}
	var described T
	if err := a.Decode(&described); err != nil {
		return err
	}
	return text(newScreen(s.Out), &described)
}

func writeJSON(to *screen, body []byte) error {
	if to.columns > 0 {
		var indented bytes.Buffer
		if json.Indent(&indented, body, "", "  ") == nil {
			body = indented.Bytes()
		}
		// Strings in JSON may have any character, and what a server sends need not be JSON.
		body = []byte(stdio.Printable(string(body), '\n'))
	}
	_, err := to.Write(body)
	return err
}
