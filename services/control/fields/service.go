package fields

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/schema"
)

// Names of the fields that every service has.
const (
	Prefix = "prefix"
	Match  = "match"
)

// KeyFields returns the fields that identify a service.
func KeyFields() []schema.Field {
	return []schema.Field{
		{Name: Prefix, Type: schema.Text, Form: "PREFIX", Help: "Path prefix of the service, such as hello or a/b."},
		{Name: Match, Type: schema.Text, Form: "HEADER:VALUE", Help: "Serve only requests with this header whose value begins so, as in 'Host: api.example.com'."},
	}
}

// Key returns the route key: the prefix, which is required, and the optional match.
func (in *Input) Key() (key routekey.Key) {
	in.Missing(Prefix, "give the path prefix of the service, such as hello")
	var err error
	if in.Value(Prefix) != nil {
		key.Prefix, err = routekey.ParsePrefix(in.Text(Prefix))
		in.invalidKey(err)
	}
	key.Match, err = routekey.ParseMatch(in.Text(Match))
	in.invalidKey(err)
	return key
}

// invalidKey adds the violations of an error of routekey, whose fields have the same names.
func (in *Input) invalidKey(err error) {
	var invalid *routekey.Error
	if errors.As(err, &invalid) {
		for _, text := range invalid.Violations {
			in.Violate(invalid.Field, "is %q: %s", invalid.Input, text)
		}
	}
}

// Selection is the kind of service that a request asks for.
type Selection struct {
	Kind schema.Kind
	Form schema.Form
}

// Same reports whether the other selection has the same kind and form.
func (s Selection) Same(o Selection) bool {
	return s.Kind.Name == o.Kind.Name && slices.Equal(s.Form.Requires, o.Form.Requires)
}

// Select parses all given fields and returns the kind that they select. A boolean selects only if it is true. ok is false if no or more
// than one kind is selected, which is a violation; advice ends its text if there is none.
func (in *Input) Select(kinds schema.Kinds, advice string) (s Selection, ok bool) {
	in.Parse()
	given := in.selecting(kinds)
	if kind, form, ok := kinds.Select(given); ok {
		in.refuseOthers(kinds, form)
		return Selection{Kind: kind, Form: form}, true
	}
	if len(given) == 0 {
		in.Violate("", "%s", advice)
	} else {
		others := given[:len(given)-1]
		for i, name := range others {
			others[i] = cmp.Or(in.implied[name], name)
		}
		in.Violate(given[len(given)-1], "cannot be combined with %s: a prefix is bound to one thing, choose one of them", strings.Join(others, " and "))
	}
	return Selection{}, false
}

// selecting returns the given fields that select kinds.
func (in *Input) selecting(kinds schema.Kinds) (given []string) {
	for _, form := range kinds.Forms() {
		for _, name := range form.Requires {
			if f, _ := form.Field(name); in.Has(name) && !slices.Contains(given, name) && (!f.Type.IsBool() || in.Bool(name)) {
				given = append(given, name)
			}
		}
	}
	return given
}

// refuseOthers reports the given fields of other forms. Those that ask for nothing are accepted, so that a client can
// send one set of fields for services of all kinds.
func (in *Input) refuseOthers(kinds schema.Kinds, form schema.Form) {
	for _, name := range in.names() {
		if _, own := form.Field(name); own || in.refused(name) || asksNothing(in.Value(name)) {
			continue
		}
		if owners := kinds.Owners(name); len(owners) > 0 && !kinds.Selects(name) {
			in.Violate(name, "is a field of %s", notGiven(owners))
		}
	}
}

// asksNothing reports whether the value of a given field is false, an empty list, or unset.
func asksNothing(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case bool:
		return !value
	case []string:
		return len(value) == 0
	case map[string]string:
		return len(value) == 0
	case schema.Settings:
		return value.IsZero()
	}
	return false
}

// refused reports whether the field has a violation.
func (in *Input) refused(name string) bool {
	return slices.ContainsFunc(in.violations, func(v problem.Violation) bool { return v.Field == name })
}

// notGiven lists names of which none is given.
func notGiven(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0] + ", which is not given"
	}
	return strings.Join(names[:last], ", ") + " or " + names[last] + ", and none of them is given"
}

// Values returns the values of a form's fields. Missing ones are taken from before.
func (in *Input) Values(form schema.Form, before schema.Values) schema.Values {
	values := make(schema.Values)
	for _, f := range form.Fields {
		if f.Type.IsBlob() || f.Internal {
			continue
		}
		if in.Has(f.Name) {
			value, refused := f.Adapt(in.Value(f.Name))
			if refused != "" {
				in.Violate(f.Name, "%s", refused)
			}
			values.Put(f, value)
		} else if value, kept := before[f.Name]; kept {
			values.Put(f, value)
		}
	}
	return values
}
