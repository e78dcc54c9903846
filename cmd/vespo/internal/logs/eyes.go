package logs

import (
	"context"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"unicode"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/router/accesslog"
)

const (
	timeForm     = "15:04:05.000"
	indent       = "    "
	digestPrefix = "sha256:"
	digestDigits = 12 // of a digest; enough to recognise one
)

// eyes is a slog.Handler for people: time, level and message in columns, then the attributes. A line of a guest is its
// own message. The further lines of a text of several, such as a panic with its stack, are below, indented. Other control characters are
// escaped, so that no text moves the cursor of a terminal.
type eyes struct {
	w     io.Writer    // immutable, like all below
	level slog.Leveler //
	paint stdio.Paint
	attrs string // formatted, of WithAttrs
	block string // the same, of several lines
	group string // prefix of names, of WithGroup
}

// fields are formatted attributes.
type fields struct {
	row   strings.Builder // " name=value" for each
	block strings.Builder // lines
}

// Enabled implements slog.Handler.
func (h *eyes) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level.Level() }

// WithAttrs implements slog.Handler.
func (h *eyes) WithAttrs(attrs []slog.Attr) slog.Handler {
	own := *h
	var f fields
	for _, a := range attrs {
		h.append(&f, h.group, a)
	}
	own.attrs += f.row.String()
	own.block += f.block.String()
	return &own
}

// WithGroup implements slog.Handler.
func (h *eyes) WithGroup(name string) slog.Handler {
	own := *h
	if name != "" {
		own.group += name + "."
	}
	return &own
}

// Handle implements slog.Handler.
func (h *eyes) Handle(_ context.Context, r slog.Record) error {
	message, below := r.Message, ""
	var attrs fields
	attrs.row.WriteString(h.attrs)
	attrs.block.WriteString(h.block)
	r.Attrs(func(a slog.Attr) bool {
		if r.Message == accesslog.MessageGuest && a.Key == accesslog.AttrLine {
			message, below, _ = strings.Cut(strings.TrimRight(a.Value.String(), "\r\n"), "\n")
			return true
		}
		h.append(&attrs, h.group, a)
		return true
	})
	var line strings.Builder
	if !r.Time.IsZero() {
		line.WriteString(h.paint.Faint(r.Time.Format(timeForm)))
		line.WriteByte(' ')
	}
	line.WriteString(h.levelText(r.Level))
	line.WriteByte(' ')
	line.WriteString(printable(message))
	line.WriteString(attrs.row.String())
	line.WriteByte('\n')
	writeIndented(&line, indent, below)
	line.WriteString(attrs.block.String())
	_, err := io.WriteString(h.w, line.String())
	return err
}

// levelText returns the name of a level, padded to the width of the longest.
func (h *eyes) levelText(level slog.Level) string {
	text := level.String()
	text += strings.Repeat(" ", max(0, len("ERROR")-len(text)))
	switch {
	case level >= slog.LevelError:
		return h.paint.Red(text)
	case level >= slog.LevelWarn:
		return h.paint.Yellow(text)
	}
	return text
}

// append adds an attribute. The attributes of a group have its name before theirs.
func (h *eyes) append(f *fields, group string, a slog.Attr) {
	value := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if value.Kind() == slog.KindGroup {
		if a.Key != "" {
			group += a.Key + "."
		}
		for _, inner := range value.Group() {
			h.append(f, group, inner)
		}
		return
	}
	name, text := quoted(group+a.Key), value.String()
	if !strings.Contains(strings.TrimSpace(text), "\n") {
		f.row.WriteString(" " + h.paint.Faint(name+"=") + valueText(text))
		return
	}
	f.block.WriteString(indent + h.paint.Faint(name+":") + "\n")
	writeIndented(&f.block, indent+indent, text)
}

// writeIndented writes the lines of a text.
func writeIndented(b *strings.Builder, indent, text string) {
	for line := range strings.Lines(text) {
		b.WriteString(indent + printable(strings.TrimRight(line, "\r\n")) + "\n")
	}
}

// valueText returns a value, quoted if it has spaces or characters that need it. A digest is cut.
func valueText(text string) string {
	if hex, ok := strings.CutPrefix(text, digestPrefix); ok && len(hex) > digestDigits {
		text = hex[:digestDigits]
	}
	return quoted(text)
}

func quoted(text string) string {
	if text == "" || strings.ContainsFunc(text, func(r rune) bool {
		return r == ' ' || r == '"' || r == '=' || !strconv.IsPrint(r) || r == unicode.ReplacementChar
	}) {
		return strconv.Quote(text)
	}
	return text
}

// printable escapes the characters of a message that are not printable, such as those that control a terminal. Tabs
// become spaces.
func printable(text string) string {
	if !strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) || r == unicode.ReplacementChar }) {
		return text
	}
	quoted := strconv.Quote(strings.ReplaceAll(text, "\t", "    "))
	return strings.ReplaceAll(strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`), `\\`, `\`)
}
