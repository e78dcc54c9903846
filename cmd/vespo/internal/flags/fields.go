package flags

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/services/schema"
)

// Fields are flags made from the descriptions of fields. Kong sets them.
type Fields struct {
	fields []schema.Field
	target reflect.Value // pointer to a struct with a member Field0, Field1, ... for each field, and File0, ... for those that take files
}

// NewFields returns flags for the fields. group returns the title under which the help lists a flag, or an empty string.
func NewFields(fields []schema.Field, group func(schema.Field) string) *Fields {
	members := make([]reflect.StructField, 0, len(fields))
	for i, f := range fields {
		members = append(members, reflect.StructField{
			Name: "Field" + strconv.Itoa(i),
			Type: typeOf(f),
			Tag:  tagOf(f, group(f)),
		})
		if f.Type == schema.Config {
			members = append(members, reflect.StructField{
				Name: "File" + strconv.Itoa(i),
				Type: reflect.TypeFor[TextFile](),
				Tag:  fileTagOf(f, group(f)),
			})
		}
	}
	return &Fields{fields: fields, target: reflect.New(reflect.StructOf(members))}
}

// Plugin returns an element of kong.Plugins with the flags.
func (f *Fields) Plugin() any { return f.target.Interface() }

// typeOf returns the type of a flag. Texts with a syntax of their own stay texts: the server parses them.
func typeOf(f schema.Field) reflect.Type {
	switch {
	case f.Type.IsBool():
		return reflect.TypeFor[bool]()
	case f.Type == schema.Count:
		return reflect.TypeFor[int]()
	case f.Type == schema.Pairs || f.Type == schema.Config:
		return reflect.TypeFor[map[string]string]()
	case f.Type.IsList():
		return reflect.TypeFor[[]string]()
	case f.Type == schema.Contents:
		return reflect.TypeFor[TextFile]()
	}
	return reflect.TypeFor[string]()
}

func tagOf(f schema.Field, group string) reflect.StructTag {
	t := tags{"name", f.Flag(), "placeholder", f.Form, "help", help(f), "group", group}
	switch {
	case f.Type == schema.Pairs || f.Type == schema.Config:
		t = append(t, "mapsep", "none")
	case f.Type.IsList() && !f.Commas:
		t = append(t, "sep", "none")
	case f.Type == schema.Program:
		t = append(t, "type", "path")
	}
	return t.tag()
}

// fileTagOf returns the tag of the flag that takes a file for a field.
func fileTagOf(f schema.Field, group string) reflect.StructTag {
	help := "In place of --" + f.Flag() + ": the bytes of this file, as the module reads them with get_config."
	return tags{"name", fileFlag(f), "placeholder", "FILE", "help", help, "group", group}.tag()
}

// fileFlag returns the name of the flag that takes a file for a field.
func fileFlag(f schema.Field) string { return f.Flag() + "-file" }

// tags are the names of a tag, each followed by its value.
type tags []string

// tag returns the tag without empty values.
func (t tags) tag() reflect.StructTag {
	var b strings.Builder
	for i := 0; i < len(t); i += 2 {
		if t[i+1] != "" {
			fmt.Fprintf(&b, "%s:%s ", t[i], strconv.Quote(t[i+1]))
		}
	}
	return reflect.StructTag(strings.TrimSpace(b.String()))
}

// help returns the text of the help for a field.
func help(f schema.Field) string {
	text := strings.TrimSuffix(f.Help, ".")
	switch {
	case f.Commas:
		text += "; several are separated by commas or by repeating the flag"
	case f.Type.IsList():
		text += "; may be repeated"
	}
	absent := f.Absent
	if absent == "" {
		absent = f.Default
	}
	if absent != "" {
		text += " (" + absent + ")"
	}
	return text + "."
}

// Check returns an error for each field that is given both by its flag and by a file, or has a text that is not UTF-8, which
// JSON would change.
func (f *Fields) Check() error {
	var errs []error
	for i, field := range f.fields {
		if field.Type != schema.Contents && !validUTF8(f.member(i)) {
			errs = append(errs, fmt.Errorf("--%s has bytes that are not UTF-8", field.Flag()))
		}
		if f.file(i) != "" && f.member(i).Len() > 0 {
			errs = append(errs, fmt.Errorf("--%s and --%s cannot be combined: give settings by name or one file", field.Flag(), fileFlag(field)))
		}
	}
	return errors.Join(errs...)
}

// Given returns the values of the given flags by the names of their fields: strings, booleans, numbers, lists of
// strings, maps of strings and schema.Settings. Flags without a value are left out.
func (f *Fields) Given() map[string]any {
	given := make(map[string]any)
	for i, field := range f.fields {
		value, text := f.member(i), f.file(i)
		switch empty := value.IsZero() || field.Type.IsList() && value.Len() == 0; {
		case field.Type == schema.Config && (!empty || text != ""):
			given[field.Name] = schema.Settings{ByName: value.Interface().(map[string]string), Text: text}
		case field.Type == schema.Contents && !empty:
			given[field.Name] = value.String()
		case !empty:
			given[field.Name] = value.Interface()
		}
	}
	return given
}

// FileFlag returns the name of the flag that gave a field the bytes of a file, or false.
func (f *Fields) FileFlag(name string) (string, bool) {
	for i, field := range f.fields {
		if field.Name == name && f.file(i) != "" {
			return fileFlag(field), true
		}
	}
	return "", false
}

func (f *Fields) member(i int) reflect.Value {
	return f.target.Elem().FieldByName("Field" + strconv.Itoa(i))
}

// file returns the content of the file for a field, or "".
func (f *Fields) file(i int) string {
	if f.fields[i].Type != schema.Config {
		return ""
	}
	return f.target.Elem().FieldByName("File" + strconv.Itoa(i)).String()
}

// Field returns the field of a flag, by the flag's name.
func (f *Fields) Field(flag string) (schema.Field, bool) {
	for _, field := range f.fields {
		if field.Flag() == flag {
			return field, true
		}
	}
	return schema.Field{}, false
}

// validUTF8 reports whether the texts of a flag are UTF-8.
func validUTF8(member reflect.Value) bool {
	switch value := member.Interface().(type) {
	case string:
		return utf8.ValidString(value)
	case []string:
		return utf8.ValidString(strings.Join(value, ""))
	case map[string]string:
		for name, text := range value {
			if !utf8.ValidString(name) || !utf8.ValidString(text) {
				return false
			}
		}
	}
	return true
}
