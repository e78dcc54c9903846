package admin

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/rollout"
	"github.com/vespo-dev/vespo/services/schema"
)

// Names of the fields of requests that are not part of a service.
const (
	fieldSource     = "source"
	fieldReset      = "reset"
	fieldUnset      = "unset"
	fieldGeneration = "generation"
	fieldVersion    = "version"
	fieldSchedule   = "schedule"
	fieldMessage    = "message"
	fieldAuthor     = "author"
	fieldCheck      = "check"
)

// changeFields returns the fields that all forms of a changing request accept, besides the module.
func (d *decoder) changeFields(others ...schema.Field) []schema.Field {
	all := append(fields.KeyFields(), others...)
	for _, f := range d.kinds.Fields() {
		if f.Type != schema.Blob {
			all = append(all, f)
		}
	}
	all = append(append(all, resetFields()...), noteFields()...)
	return append(append(all, rollout.Fields()...), rollout.DryRun())
}

// checkField describes the field of a request that comes before the one with the module.
func checkField() schema.Field {
	return schema.Field{
		Name: fieldCheck,
		Type: schema.Bool,
		Help: "Check the other fields, as far as that is possible without the module, and change nothing.",
	}
}

// resetFields describes the fields that control options that were not given.
func resetFields() []schema.Field {
	return []schema.Field{
		{
			Name: fieldReset,
			Type: schema.Bool,
			Help: "Give options that are not given their defaults, instead of keeping those of the current version.",
		},
		{
			Name: fieldUnset,
			Type: schema.Texts,
			Form: "OPTION",
			Help: "Give these options of the current version their defaults.",
		},
	}
}

// unsettable returns the names of the fields that have a default: all but those that select a kind.
func (d *decoder) unsettable() (names []string) {
	for _, f := range d.kinds.Fields() {
		if f.Type != schema.Blob && !d.kinds.Selects(f.Name) {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names
}

// orElse ends messages that ask for a module.
func (d *decoder) orElse() string {
	var others []string
	for _, form := range d.kinds.Forms() {
		if name := form.Requires[0]; name != schema.FieldModule && !slices.Contains(others, name) {
			others = append(others, name)
		}
	}
	return "; or bind the prefix to something else, by " + strings.Join(others, ", ")
}

// queryFields returns the query parameters of r.
func queryFields(r *http.Request, known ...schema.Field) *fields.Input {
	in := fields.New(known...)
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		in.Reads()
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		in.Violate("", "the query is malformed: escape special characters as in %%2F, and separate parameters by &")
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		for _, value := range query[name] {
			in.Add(name, value)
		}
	}
	return in
}

// bodilessFields returns the query parameters of a request that must not have a body.
func bodilessFields(r *http.Request, known ...schema.Field) *fields.Input {
	in := queryFields(r, known...)
	if r.ContentLength != 0 {
		in.Violate("", "the request has a body: give everything in the query, such as ?prefix=hello")
	}
	return in
}

// refuseQuery reports a violation if there is a query. It is for forms that have all fields in the body.
func refuseQuery(in *fields.Input, r *http.Request) {
	if r.URL.RawQuery != "" {
		in.Violate("", "the query is not empty: with this Content-Type, all fields belong into the body")
	}
}
