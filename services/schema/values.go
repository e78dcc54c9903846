package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/registry"
)

// MaxManifestBytes is the maximum size of a manifest: two texts of Settings in their longest form, and 64 KiB for all else.
const MaxManifestBytes = 4*MaxTextBytes + 64<<10

// Values holds the values of fields by name, each with the Go type of its field: string (Text, Path, Program, Duration, Contents), bool,
// int64 (Count, Amount, Size), []string (Texts), map[string]string (Pairs) or Settings (Config). A field with its default has no
// entry.
type Values map[string]any

// Put sets a field. A default, a zero value and a mark are left out, so that a manifest has one form.
func (v Values) Put(f Field, value any) {
	if f.Type == Mark || f.Type.IsBlob() || f.isDefault(value) {
		delete(v, f.Name)
		return
	}
	v[f.Name] = value
}

// isDefault reports whether value is zero or the default of the field.
func (f Field) isDefault(value any) bool {
	switch value := value.(type) {
	case string:
		return value == "" || value == f.Default
	case bool:
		return !value
	case int64:
		return value == 0 || f.Show(value) == f.Default
	case []string:
		return len(value) == 0
	case map[string]string:
		return len(value) == 0
	case Settings:
		return value.IsZero()
	}
	return true
}

// Manifest returns the canonical form: JSON with sorted names and without white space.
func (v Values) Manifest() registry.Manifest {
	return registry.Manifest(encode(map[string]any(v)))
}

// Encode returns the manifest of a struct whose JSON names are those of fields. Fields with their default are left out.
// It panics if d is not plain data of the types of the fields.
func Encode(fields []Field, d any) registry.Manifest {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(encode(d), &members); err != nil {
		panic("schema: not a struct: " + err.Error())
	}
	values := make(Values)
	for name, text := range members {
		f, ok := Find(fields, name)
		if !ok {
			panic(fmt.Sprintf("schema: %T has the member %s, which no field describes", d, name))
		}
		value, err := f.stored(text)
		if err != nil {
			panic(fmt.Sprintf("schema: member %s of %T: %s", name, d, err))
		}
		values.Put(f, value)
	}
	return values.Manifest()
}

func encode(v any) []byte {
	text, err := registry.EncodeManifest(v)
	if err != nil {
		panic("schema: a value that is not plain data cannot be encoded: " + err.Error())
	}
	return []byte(text)
}

// ParseManifest returns the values of a manifest. A member that is not among the fields, or is of another type, is an
// error. The values are not checked.
func ParseManifest(fields []Field, m registry.Manifest) (Values, error) {
	members, err := membersOf(m)
	if err != nil {
		return nil, err
	}
	values := make(Values, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		f, ok := Find(fields, name)
		if !ok {
			return nil, fmt.Errorf("the manifest has the unknown field %.60q", name)
		}
		if values[name], err = f.stored(members[name]); err != nil {
			return nil, fmt.Errorf("field %s of the manifest: %w", name, err)
		}
	}
	return values, nil
}

// ValuesOf returns the values of a version and the form that it has.
func (k Kind) ValuesOf(v registry.Version) (Values, Form, error) {
	var all []Field
	for _, form := range k.Forms {
		all = append(all, form.Fields...)
	}
	values, err := ParseManifest(all, v.Manifest)
	if err != nil {
		return nil, Form{}, err
	}
	var blobs []string
	for _, b := range v.Blobs {
		blobs = append(blobs, b.Field)
	}
	return values, k.formOf(values, blobs), nil
}

// membersOf returns the members of a manifest. The empty manifest has none.
func membersOf(m registry.Manifest) (members map[string]json.RawMessage, err error) {
	if m == "" {
		return nil, nil
	}
	if err := checkSize(m); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(m), &members); err != nil {
		return nil, fmt.Errorf("the manifest is malformed: %w", err)
	}
	return members, nil
}

// stored returns the value of a member of a manifest.
func (f Field) stored(text json.RawMessage) (value any, err error) {
	switch f.Type {
	case Bool:
		return decode[bool](text)
	case Count, Amount, Size:
		return decode[int64](text)
	case Texts:
		return decode[[]string](text)
	case Pairs:
		return decode[map[string]string](text)
	case Config:
		return decode[Settings](text)
	case Text, Path, Program, Duration, Contents:
		value, err := decode[string](text)
		return f.canonical(value), err
	}
	return nil, errors.New("it is never part of a manifest")
}

// canonical returns the canonical form of a path or a duration. One that is none stays as it is.
func (f Field) canonical(value any) any {
	text, _ := value.(string)
	switch f.Type {
	case Path:
		return cleanPath(text)
	case Duration:
		if d, err := time.ParseDuration(text); err == nil {
			return d.String()
		}
	}
	return value
}

func decode[T any](text json.RawMessage) (any, error) {
	var v T
	err := json.Unmarshal(text, &v)
	return v, err
}

// Decode reads a manifest into a D, a struct whose JSON names are those of its fields. Members that it does not have
// are refused. The values are not checked. The error is fit for a client.
func Decode[D any](m registry.Manifest) (d D, err error) {
	if m == "" {
		return d, nil
	}
	if err := checkSize(m); err != nil {
		return d, err
	}
	dec := json.NewDecoder(strings.NewReader(string(m)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, fmt.Errorf("the manifest is not one of this kind of service: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return d, errors.New("the manifest is followed by something else")
	}
	return d, nil
}

func checkSize(m registry.Manifest) error {
	if len(m) > MaxManifestBytes {
		return fmt.Errorf("the manifest has %d bytes: at most %d are accepted", len(m), MaxManifestBytes)
	}
	return nil
}

// Pick returns the manifest with only the named members.
func Pick(m registry.Manifest, names ...string) registry.Manifest {
	return filter(m, func(name string) bool { return slices.Contains(names, name) })
}

// Part returns the named members of a manifest as a D, a struct whose JSON names are these. It is zero if the manifest has none of them, as most
// have, or is not one of this server: its kind refuses that.
func Part[D any](m registry.Manifest, names ...string) (d D) {
	mentioned := func(name string) bool { return strings.Contains(string(m), `"`+name+`"`) }
	if !slices.ContainsFunc(names, mentioned) || json.Unmarshal([]byte(m), &d) != nil {
		var none D
		return none
	}
	return d
}

// Without returns the manifest without the named members.
func Without(m registry.Manifest, names ...string) registry.Manifest {
	return filter(m, func(name string) bool { return !slices.Contains(names, name) })
}

// OfKind returns the manifest without the members that no kind reads: see Shared and Placement.
func OfKind(m registry.Manifest) registry.Manifest {
	names := make([]string, 0, len(Shared())+2)
	for _, f := range append(Shared(), Placement()...) {
		names = append(names, f.Name)
	}
	return Without(m, names...)
}

// filter returns the manifest with the members that keep accepts. A malformed manifest stays as it is.
func filter(m registry.Manifest, keep func(name string) bool) registry.Manifest {
	members, err := membersOf(m)
	if err != nil {
		return m
	}
	maps.DeleteFunc(members, func(name string, _ json.RawMessage) bool { return !keep(name) })
	if members == nil {
		members = map[string]json.RawMessage{}
	}
	return registry.Manifest(encode(members))
}

// Merge returns the manifest with the members of another one in place of its own.
func Merge(m, other registry.Manifest) registry.Manifest {
	members, err := membersOf(other)
	if err != nil {
		return m
	}
	values := make(map[string]any, len(members))
	for name, text := range members {
		values[name] = text
	}
	return With(m, values)
}

// With returns the manifest with the members of values in place of its own. A nil value removes its member.
func With(m registry.Manifest, values map[string]any) registry.Manifest {
	members, err := membersOf(m)
	if err != nil {
		return m
	}
	if members == nil {
		members = make(map[string]json.RawMessage)
	}
	for name, value := range values {
		if value == nil {
			delete(members, name)
			continue
		}
		members[name] = encode(value)
	}
	return registry.Manifest(encode(members))
}

// TimeoutOf returns the timeout of a manifest, 0 if it has none or is malformed.
func TimeoutOf(m registry.Manifest) time.Duration {
	var common struct {
		Timeout Period `json:"timeout"`
	}
	if json.Unmarshal([]byte(m), &common) != nil {
		return 0
	}
	return time.Duration(common.Timeout)
}

// Period is a duration whose JSON form is a string in Go's syntax.
type Period time.Duration

// MarshalText implements encoding.TextMarshaler.
func (p Period) MarshalText() ([]byte, error) { return []byte(time.Duration(p).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Period) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*p = Period(d)
	return err
}
