package problem

import (
	"fmt"
	"strings"
)

// Violation is one rule that an input breaks. Callers find the place of the field, such as a line of a file or a flag,
// by Field and never by reading Text.
type Violation struct {
	Field string // name of the field of the request; empty: the input as a whole
	Text  string // predicate of Field, such as "is 5h: it must be at most 1h"; a sentence if Field is empty
}

// Violate returns a violation of a field.
func Violate(field, format string, args ...any) Violation {
	return Violation{Field: field, Text: fmt.Sprintf(format, args...)}
}

// maxNameBytes bounds the name of an unknown field in a text.
const maxNameBytes = 60

// String returns the field and the text as one sentence.
func (v Violation) String() string {
	name := v.Field
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' }) || len(name) > maxNameBytes {
		name = fmt.Sprintf("%.*q", maxNameBytes, name)
	}
	return v.About(name)
}

// About returns the sentence with another name for the field, such as that of a flag.
func (v Violation) About(name string) string {
	if v.Field == "" {
		return v.Text
	}
	return name + " " + v.Text
}

// Texts returns the sentences of all violations.
func Texts(violations []Violation) []string {
	texts := make([]string, 0, len(violations))
	for _, v := range violations {
		texts = append(texts, v.String())
	}
	return texts
}

// Violations collects violations. The zero value has none.
type Violations []Violation

// Add adds a violation of a field.
func (v *Violations) Add(field, format string, args ...any) {
	*v = append(*v, Violate(field, format, args...))
}

// Invalid returns a problem of the kind that lists the violations. It returns nil if there are none.
func Invalid(kind Kind, detail string, violations []Violation) error {
	if len(violations) == 0 {
		return nil
	}
	p := New(kind, detail)
	p.Violations = violations
	return p
}
