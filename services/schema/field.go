package schema

import (
	"iter"
	"slices"
	"strings"
)

// Type is the type of a field's values.
type Type int

// The types. In JSON, a request can give every value but those of lists and pairs as a string, too.
const (
	Text     Type = iota // JSON string
	Path                 // JSON string; a path below a directory of the server, stored in canonical form
	Program              // JSON string; absolute path of a program. Flags and files make relative ones absolute
	Bool                 // JSON true or false
	Mark                 // like Bool, but only selects the kind and is not part of the manifest
	Count                // JSON number; a whole number of at most 31 bits
	Amount               // JSON number; a whole number of at most 53 bits
	Size                 // JSON number of bytes; as text, such as "16MiB"
	Duration             // JSON string in Go's syntax, such as "1m30s"; greater than zero
	Texts                // JSON array of strings
	Pairs                // JSON object of strings; as text, NAME=VALUE
	Config               // like Pairs, or one text: see Settings
	Contents             // JSON string; the flag names a file that has the text
	Blob                 // a module
	Blobs                // modules, in order
)

// IsList reports whether a field of the type may be given more than once.
func (t Type) IsList() bool { return t == Texts || t == Pairs || t == Config || t == Blobs }

// IsBool reports whether the values are true and false.
func (t Type) IsBool() bool { return t == Bool || t == Mark }

// IsBlob reports whether the values are blobs of the version.
func (t Type) IsBlob() bool { return t == Blob || t == Blobs }

// String returns the name of the type for reference pages.
func (t Type) String() string {
	names := map[Type]string{
		Text:     "string",
		Path:     "path",
		Program:  "path of a program",
		Bool:     "boolean",
		Mark:     "boolean",
		Count:    "number",
		Amount:   "number",
		Size:     "size",
		Duration: "duration",
		Texts:    "array of strings",
		Pairs:    "object of strings",
		Config:   "object of strings, or a string",
		Contents: "string of several lines",
		Blob:     "module",
		Blobs:    "array of modules",
	}
	return names[t]
}

// Field describes one field of a kind of service.
type Field struct {
	Name    string // in snake_case; the flag has hyphens instead
	Type    Type
	Form    string   // placeholder for the value: "DURATION", "NAME=VALUE"
	Help    string   // one or two sentences for users
	Default string   // canonical text of the value that is used if none is given; not stored if it is given
	Absent  string   // meaning of an absent field, for users; empty: Default, or nothing
	Choices []string // permitted values of a Text; empty: any
	Example string   // a value for texts that ask for one

	Commas     bool // the flag of a Texts or Blobs takes several values, separated by commas
	EmptyItems bool // items of a Texts may be empty

	Secret   bool // the values are never shown: of pairs the names are, of all others only the number
	Common   bool // kept when the kind changes
	Internal bool // set by the server itself; requests cannot give it
	Grant    bool // a right beyond the prefix of the service: only administrators add values
}

// Flag returns the name of the command line flag, without its hyphens.
func (f Field) Flag() string { return FlagOf(f.Name) }

// FlagOf returns the name of the command line flag of a field, without its hyphens.
func FlagOf(name string) string { return strings.ReplaceAll(name, "_", "-") }

// Form is one way to make a service of a kind. A request selects it by its fields.
type Form struct {
	Requires []string // names of the fields whose presence selects the form, all of them; the first leads the texts
	Permits  []string // selecting fields of other forms that may be given too
	Fields   []Field  // all fields, including those of Requires

	// Delegated forms can be deployed by callers without the scope admin. Without the values of Grants, the services reach
	// nothing beyond their prefix: no file, network or process.
	Delegated bool
}

// Field returns a field by its name.
func (f Form) Field(name string) (Field, bool) { return Find(f.Fields, name) }

// Find returns the first of the fields with the name.
func Find(fields []Field, name string) (Field, bool) {
	i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
	if i < 0 {
		return Field{}, false
	}
	return fields[i], true
}

// Is reports whether the selecting fields of a request are those of the form.
func (f Form) Is(given []string) bool {
	for _, name := range f.Requires {
		if !slices.Contains(given, name) {
			return false
		}
	}
	return !slices.ContainsFunc(given, func(name string) bool {
		return !slices.Contains(f.Requires, name) && !slices.Contains(f.Permits, name)
	})
}

// Kind describes a kind of service.
type Kind struct {
	Name  string // as in the catalogue
	Title string // with its article: "a reverse proxy"
	Forms []Form
}

// Kinds is the list of the kinds that a server has, in the order of its texts.
type Kinds []Kind

// Get returns the kind with the name.
func (k Kinds) Get(name string) (Kind, bool) {
	for _, kind := range k {
		if kind.Name == name {
			return kind, true
		}
	}
	return Kind{}, false
}

// Fields returns the fields of all forms, each name once, without internal ones.
func (k Kinds) Fields() []Field {
	return slices.DeleteFunc(k.AllFields(), func(f Field) bool { return f.Internal })
}

// AllFields returns the fields of all forms, each name once.
func (k Kinds) AllFields() (all []Field) {
	seen := make(map[string]bool)
	for _, form := range k.Forms() {
		for _, field := range form.Fields {
			if !seen[field.Name] {
				all = append(all, field)
			}
			seen[field.Name] = true
		}
	}
	return all
}

// Field returns the field of the kind with the name, of any form.
func (k Kind) Field(name string) (Field, bool) {
	for _, form := range k.Forms {
		if field, ok := form.Field(name); ok {
			return field, true
		}
	}
	return Field{}, false
}

// Selects reports whether the field selects a form.
func (k Kinds) Selects(name string) bool {
	for _, form := range k.Forms() {
		if slices.Contains(form.Requires, name) {
			return true
		}
	}
	return false
}

// Owners returns the selecting fields of the forms that have a field, each once.
func (k Kinds) Owners(name string) (owners []string) {
	for _, form := range k.Forms() {
		if _, own := form.Field(name); own && !slices.Contains(owners, form.Requires[0]) {
			owners = append(owners, form.Requires[0])
		}
	}
	return owners
}

// Forms returns the forms of all kinds, each with its kind.
func (k Kinds) Forms() iter.Seq2[Kind, Form] {
	return func(yield func(Kind, Form) bool) {
		for _, kind := range k {
			for _, form := range kind.Forms {
				if !yield(kind, form) {
					return
				}
			}
		}
	}
}

// Select returns the form whose selecting fields a request has, with its kind.
func (k Kinds) Select(given []string) (Kind, Form, bool) {
	for kind, form := range k.Forms() {
		if form.Is(given) {
			return kind, form, true
		}
	}
	return Kind{}, Form{}, false
}

// With returns the kinds with common fields added to each form.
func (k Kinds) With(common ...Field) Kinds {
	all := make(Kinds, 0, len(k))
	for _, kind := range k {
		forms := make([]Form, 0, len(kind.Forms))
		for _, form := range kind.Forms {
			form.Fields = append(slices.Clone(form.Fields), common...)
			forms = append(forms, form)
		}
		kind.Forms = forms
		all = append(all, kind)
	}
	return all
}

// formOf returns the form of a version: one that has all its fields and, if there is one, whose selecting fields it has.
// Marks are not stored, and count as given.
func (k Kind) formOf(values Values, blobs []string) Form {
	var covering []Form
	for _, form := range k.Forms {
		switch covers := form.covers(values); {
		case covers && form.selected(values, blobs):
			return form
		case covers:
			covering = append(covering, form)
		}
	}
	if covering = append(covering, k.Forms...); len(covering) == 0 {
		return Form{}
	}
	return covering[0]
}

// covers reports whether the form has all fields of the values.
func (f Form) covers(values Values) bool {
	for name := range values {
		if _, ok := f.Field(name); !ok {
			return false
		}
	}
	return true
}

// selected reports whether a version has the selecting fields of the form.
func (f Form) selected(values Values, blobs []string) bool {
	for _, name := range f.Requires {
		field, _ := f.Field(name)
		if _, has := values[name]; !has && field.Type != Mark && !slices.Contains(blobs, name) {
			return false
		}
	}
	return true
}
