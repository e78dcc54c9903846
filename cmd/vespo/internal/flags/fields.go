package flags

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/services/schema"
)

// Fields are flags made from the descriptions of fields. Kong sets them.
type Fields struct {
	fields []schema.Field
	target reflect.Value // pointer to a struct with one member for each field
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
	case f.Type == schema.Pairs:
		return reflect.TypeFor[map[string]string]()
	case f.Type.IsList():
		return reflect.TypeFor[[]string]()
	}
	return reflect.TypeFor[string]()
}

func tagOf(f schema.Field, group string) reflect.StructTag {
	var tag strings.Builder
	set := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&tag, "%s:%s ", name, strconv.Quote(value))
		}
	}
	set("name", f.Flag())
	set("placeholder", f.Form)
	set("help", help(f))
	set("group", group)
	switch {
	case f.Type == schema.Pairs:
		set("mapsep", "none")
	case f.Type.IsList() && !f.Commas:
		set("sep", "none")
	case f.Type == schema.Program:
		set("type", "path")
	}
	return reflect.StructTag(strings.TrimSpace(tag.String()))
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

// Given returns the values of the given flags by the names of their fields: strings, booleans, numbers, lists of strings
// and maps of strings. Flags without a value are left out.
func (f *Fields) Given() map[string]any {
	given := make(map[string]any)
	for i, field := range f.fields {
		if value := f.target.Elem().Field(i); !value.IsZero() && (!field.Type.IsList() || value.Len() > 0) {
			given[field.Name] = value.Interface()
		}
	}
	return given
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
