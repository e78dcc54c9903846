package fields

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/spelling"
	"github.com/vespo-dev/vespo/services/schema"
)

// maxViolations bounds the answer to a request with many errors.
const maxViolations = 20

// Input collects the fields of a request and their violations.
type Input struct {
	known   []schema.Field
	claimed map[string]bool     // names that were given
	texts   map[string][]string // given as text; a refused field has none
	members map[string]any      // given as JSON, parsed
	implied map[string]string   // what stands for a field

	violations []problem.Violation // at most maxViolations
	more       int                 // number of further violations
	reads      bool                // the request changes nothing
}

// New returns an Input that accepts the given fields.
func New(known ...schema.Field) *Input {
	return &Input{
		known:   known,
		claimed: make(map[string]bool),
		texts:   make(map[string][]string),
		members: make(map[string]any),
		implied: make(map[string]string),
	}
}

// Reads declares that the request changes nothing in any case, so that its problem does not say so.
func (in *Input) Reads() { in.reads = true }

func (in *Input) field(name string) (schema.Field, bool) { return schema.Find(in.known, name) }

// Claim records that the request has the field. It reports whether to read its value.
func (in *Input) Claim(name string) bool {
	f, known := in.field(name)
	switch {
	case !known:
		in.Violate(name, "is unknown%s", in.expected(name))
		return false
	case in.claimed[name] && !f.Type.IsList():
		in.Violate(name, "is given more than once")
		return false
	}
	in.claimed[name] = true
	return true
}

// expected ends the text about a name that is unknown.
func (in *Input) expected(name string) string {
	if len(in.known) == 0 {
		return ": none is expected here"
	}
	names := make([]string, 0, len(in.known))
	for _, f := range in.known {
		names = append(names, f.Name)
	}
	return spelling.Hint(name, names)
}

// Imply records that the request has the field, which something else stands for, such as its body.
func (in *Input) Imply(name, by string) { in.claimed[name], in.implied[name] = true, by }

// Has reports whether the request has the field, even if its value is refused.
func (in *Input) Has(name string) bool { return in.claimed[name] }

// Add adds a field with its text.
func (in *Input) Add(name, text string) {
	if in.Claim(name) {
		in.Set(name, text)
	}
}

// Set adds the text of a claimed field.
func (in *Input) Set(name, text string) {
	if _, twice := in.members[name]; twice {
		in.Violate(name, "is given more than once")
		return
	}
	in.texts[name] = append(in.texts[name], text)
}

// AddMember adds a field with its JSON.
func (in *Input) AddMember(name string, value json.RawMessage) {
	if in.claimed[name] {
		in.Violate(name, "is given more than once")
		return
	}
	if !in.Claim(name) {
		return
	}
	f, _ := in.field(name)
	parsed, refused := f.ParseJSON(value)
	if refused != "" {
		in.Violate(name, "%s", refused)
		return
	}
	in.members[name] = parsed
}

// Text returns the value of a field as text, the first one of a list.
func (in *Input) Text(name string) string {
	if texts := in.texts[name]; len(texts) > 0 {
		return texts[0]
	}
	f, _ := in.field(name)
	return f.Show(in.members[name])
}

// Texts returns the values of a list.
func (in *Input) Texts(name string) []string {
	if list, ok := in.members[name].([]string); ok {
		return list
	}
	return in.texts[name]
}

// TakesFile reports whether SetFile can set the field.
func (in *Input) TakesFile(name string) bool {
	f, _ := in.field(name)
	return f.Type == schema.Config || f.Type == schema.Contents
}

// TakesText reports whether the text of the field may be long.
func (in *Input) TakesText(name string) bool {
	f, _ := in.field(name)
	return f.Type == schema.Contents
}

// SetFile sets a claimed field of type schema.Config or schema.Contents to the bytes of a file.
func (in *Input) SetFile(name string, content []byte) {
	if _, twice := in.members[name]; twice || len(in.texts[name]) > 0 {
		in.Violate(name, "is given more than once")
		return
	}
	if f, _ := in.field(name); f.Type == schema.Contents {
		in.texts[name] = []string{string(content)}
		return
	}
	in.members[name] = schema.Settings{Text: string(content)}
}

// Parse parses all given fields, so that their violations are known.
func (in *Input) Parse() {
	for _, name := range in.names() {
		in.Value(name)
	}
}

// Bool returns the value of a boolean field, false if it was not given.
func (in *Input) Bool(name string) bool {
	value, _ := in.Value(name).(bool)
	return value
}

// Value returns the parsed value of a field, or nil if it was not given or is refused.
func (in *Input) Value(name string) any {
	if value, ok := in.members[name]; ok {
		return value
	}
	f, known := in.field(name)
	texts := in.texts[name]
	if !known || len(texts) == 0 {
		return nil
	}
	value, refused := f.Parse(texts...)
	if refused != "" {
		in.Violate(name, "%s", refused)
		return nil
	}
	return value
}

// Unset removes the values of the named fields, which a service has otherwise. They must be among allowed.
func (in *Input) Unset(field string, names, allowed []string) {
	for _, name := range names {
		switch {
		case !slices.Contains(allowed, name):
			in.Violate(field, "has %.60q%s", name, spelling.Hint(name, allowed))
		case in.claimed[name]:
			in.Violate(name, "is given, and %s has it too: choose one of them", field)
		default:
			in.claimed[name] = true
		}
	}
}

// DropEmptyLists turns lists with a single empty text, as in ?use= or "use": [""], into empty lists.
func (in *Input) DropEmptyLists(except ...string) {
	for name := range in.claimed {
		f, _ := in.field(name)
		if !f.Type.IsList() || slices.Contains(except, name) {
			continue
		}
		if texts := in.Texts(name); len(texts) == 1 && texts[0] == "" {
			delete(in.texts, name)
			in.members[name] = f.Empty()
		}
	}
}

// Missing reports a violation if the field was not given.
func (in *Input) Missing(name, advice string) {
	if !in.claimed[name] {
		in.Violate(name, "is missing: %s", advice)
	}
}

// Violate adds a violation of a field; an empty field stands for the whole request.
func (in *Input) Violate(field, format string, args ...any) {
	v := problem.Violate(field, format, args...)
	switch {
	case len(in.violations) == maxViolations:
		in.more++
	case !slices.Contains(in.violations, v):
		in.violations = append(in.violations, v)
	}
}

// Violations returns all violations. The last one counts those that were left out.
func (in *Input) Violations() []problem.Violation {
	if in.more == 0 {
		return in.violations
	}
	return append(slices.Clone(in.violations), problem.Violation{Text: fmt.Sprintf("and %d more", in.more)})
}

// Err returns all violations as one problem, or nil.
func (in *Input) Err() error {
	detail := "the request is invalid; nothing was changed"
	if in.reads {
		detail = "the request is invalid"
	}
	return problem.Invalid(problem.BadRequest, detail, in.Violations())
}

// names returns the names of the given fields, sorted.
func (in *Input) names() []string { return slices.Sorted(maps.Keys(in.claimed)) }
