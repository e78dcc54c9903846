package admin

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/schema"
)

// Limits of a note, in bytes. A catalogue keeps up to 100 notes of each service, and every commit writes all of them.
const (
	maxMessageBytes = 500
	maxAuthorBytes  = 100
)

// noteFields describes what a client can say about a version.
func noteFields() []schema.Field {
	return []schema.Field{
		{Name: fieldMessage, Type: schema.Text, Form: "TEXT", Help: "What has changed, in one line. It is shown beside the version."},
		{Name: fieldAuthor, Type: schema.Text, Form: "NAME", Help: "Who deploys it. It is shown beside the version."},
	}
}

func noteOf(in *fields.Input) registry.Note {
	return registry.Note{Message: line(in, fieldMessage, maxMessageBytes), Author: line(in, fieldAuthor, maxAuthorBytes)}
}

// line returns the value of a field that is one line of text.
func line(in *fields.Input, name string, maxBytes int) string {
	text := strings.TrimSpace(in.Text(name))
	switch {
	case len(text) > maxBytes:
		in.Violate(name, "has %d bytes: at most %d are kept; give one line, such as the subject of a commit", len(text), maxBytes)
	case !utf8.ValidString(text):
		in.Violate(name, "is not valid UTF-8")
	case strings.ContainsFunc(text, unicode.IsControl):
		in.Violate(name, "has a line break or another control character: give one line, such as the subject of a commit")
	}
	return text
}
