package configfile

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/control/rollout"
	"github.com/vespo-dev/vespo/services/schema"
)

// service is a [[service]] table.
type service struct {
	spec   services.Spec
	how    deploy.How      // in which new versions get their requests
	module string          // path of the module; empty for kinds without one
	use    []string        // paths of the middleware
	lines  map[string]int  // by key; "" is the line of the table
	unread map[string]bool // keys whose values could not be replaced

	refused bool // it has violations
}

// readService reads the keys of a table, which are the fields of the management API.
func (f *File) readService(keys map[string]any, where map[string]int) (service, Violations) {
	s := service{lines: where}
	field := func(name string) schema.Field { field, _ := schema.Find(f.known, name); return field }
	v := values{
		file:   f,
		where:  where,
		secret: func(name string) bool { return field(name).Secret || field(name).Type == schema.Contents },
		binary: func(name string) bool { return field(name).Type == schema.Config },
	}
	v.expand(keys)
	s.unread = v.failed
	object, err := json.Marshal(f.resolved(keys))
	if err != nil {
		return s, append(v.violations, f.violation(where[""], "a value has no meaning here: %s", err))
	}
	in := fields.New(append(append(fields.KeyFields(), f.known...), rollout.Fields()...)...)
	if in.AddJSON(object, "") {
		s.describe(f, in)
	}
	return s, append(v.violations, s.located(f, in.Violations())...)
}

// describe fills in the spec, and the paths of its modules.
func (s *service) describe(f *File, in *fields.Input) {
	s.spec = services.Spec{Key: in.Key(), Origin: registry.OriginFile}
	s.how = rollout.Read(in)
	selected, ok := in.Select(f.kinds, "module is missing: give the file of the module, or bind the prefix to something else")
	if !ok {
		return
	}
	s.spec.Kind, s.spec.Manifest = selected.Kind.Name, in.Values(selected.Form, nil).Manifest()
	if in.Has(schema.FieldModule) && in.Value(schema.FieldModule) != nil {
		path := in.Text(schema.FieldModule)
		if path == "" {
			in.Violate(schema.FieldModule, "is empty: give the file of the module")
			return
		}
		s.module = f.Relative(path)
	}
	for _, path := range in.Texts(schema.FieldUse) {
		s.use = append(s.use, f.Relative(path))
	}
}

// located returns violations at the lines of their keys.
func (s *service) located(f *File, found []problem.Violation) (violations Violations) {
	for _, v := range found {
		if s.unread[v.Field] {
			continue // its text is not the value
		}
		violations = append(violations, f.violation(cmp.Or(s.lines[v.Field], s.lines[""]), "%s", v))
	}
	return violations
}

// resolved returns the fields with the path of a program made absolute. Relative paths with a separator, such
// as ./worker, are relative to the file.
func (f *File) resolved(keys map[string]any) map[string]any {
	program, ok := keys["exec"].(string)
	if !ok || !strings.ContainsRune(program, filepath.Separator) {
		return keys
	}
	absolute, err := filepath.Abs(f.Relative(program))
	if err != nil {
		return keys // refused later because it is not absolute
	}
	keys = maps.Clone(keys)
	keys["exec"] = absolute
	return keys
}

// readModule describes the module and the middleware.
func (s *service) readModule(f *File, m *modules) (violations Violations) {
	read := func(key, path string) services.Blob {
		b, err := m.blob(path)
		if err != nil {
			violations = append(violations, f.violation(s.lines[key], "%s %s: %s", key, path, err))
		}
		b.Field = key
		return b
	}
	if s.module != "" {
		s.spec.Blobs = []services.Blob{read(schema.FieldModule, s.module)}
	}
	for _, path := range s.use {
		s.spec.Blobs = append(s.spec.Blobs, read(schema.FieldUse, path))
	}
	return violations
}

// explain converts the error for a refused service into violations. It uses the client's wording where there
// is one, but unlike a client the author of the file may also see other errors.
func (s *service) explain(f *File, err error) Violations {
	var told *problem.Problem
	if !errors.As(err, &told) || told.Kind() == problem.Internal {
		return Violations{f.violation(s.lines[""], "service %s: %s", s.spec.Key, err)}
	}
	if len(told.Violations) == 0 {
		return Violations{s.whole(f, told.Kind(), cmp.Or(told.Detail, told.Title))}
	}
	var violations Violations
	for _, v := range told.Violations {
		line := s.lines[v.Field]
		switch {
		case v.Field == "" || line == 0:
			violations = append(violations, s.whole(f, told.Kind(), v.String()))
		case v.Field == schema.FieldModule:
			violations = append(violations, f.violation(line, "%s", v.About("module "+s.module)))
		default:
			violations = append(violations, f.violation(line, "%s", v))
		}
	}
	return violations
}

// whole returns a violation that concerns no key: at the module if it is about one, else at the table.
func (s *service) whole(f *File, kind problem.Kind, text string) Violation {
	if s.module != "" && kind == problem.ModuleInvalid {
		return f.violation(cmp.Or(s.lines[schema.FieldModule], s.lines[""]), "module %s: %s", s.module, text)
	}
	return f.violation(s.lines[""], "service %s: %s", s.spec.Key, text)
}
