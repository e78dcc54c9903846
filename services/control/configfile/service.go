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
	"github.com/vespo-dev/vespo/services/control/admin"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
)

// nounKey is the word for a field in messages.
const nounKey = "key"

// service is a [[service]] table.
type service struct {
	spec   services.Spec
	module string         // path of the module; empty for kinds without one
	use    []string       // paths of the middleware
	lines  map[string]int // by key; "" is the line of the table
}

// readService reads the fields, which are those of the management API.
func (f *File) readService(fields map[string]any, where map[string]int) (service, Violations) {
	s := service{lines: where}
	object, err := json.Marshal(f.resolved(fields))
	if err != nil {
		return s, Violations{f.violation(where[""], "a value has no meaning here: %s", err)}
	}
	d, texts := admin.Describe(nounKey, object)
	s.spec = services.Spec{
		Prefix: d.Prefix, Kind: cmp.Or(d.Kind, wasm.KindName), Module: d.Document, Options: d.Options, Origin: registry.OriginFile,
	}
	if d.Module != "" {
		s.module = f.Relative(d.Module)
	}
	for _, path := range d.Use {
		s.use = append(s.use, f.Relative(path))
	}
	var violations Violations
	for _, text := range texts {
		violations = append(violations, f.violation(cmp.Or(s.lineOf(text), where[""]), "%s", text))
	}
	return s, violations
}

// resolved returns the fields with the path of a program made absolute. Relative paths with a separator, such
// as ./worker, are relative to the file.
func (f *File) resolved(fields map[string]any) map[string]any {
	program, ok := fields["exec"].(string)
	if !ok || !strings.ContainsRune(program, filepath.Separator) {
		return fields
	}
	absolute, err := filepath.Abs(f.Relative(program))
	if err != nil {
		return fields // refused later because it is not absolute
	}
	fields = maps.Clone(fields)
	fields["exec"] = absolute
	return fields
}

// readModule reads the module and the middleware, unless modules has them already.
func (s *service) readModule(f *File, modules map[string][]byte, maxBytes int64) Violations {
	var violations Violations
	read := func(key, path string) []byte {
		module, ok := modules[path]
		if !ok {
			var err error
			if module, err = readFile(path, maxBytes); err != nil {
				violations = append(violations, f.violation(s.lines[key], "%s %s: %s", key, path, err))
				return nil
			}
			modules[path] = module
		}
		return module
	}
	if s.module != "" {
		s.spec.Module = read("module", s.module)
	}
	for _, path := range s.use {
		s.spec.Use = append(s.spec.Use, read("use", path))
	}
	return violations
}

// lineOf finds the line of the key that a violation begins with, or 0 if the file does not have that key.
func (s *service) lineOf(text string) int {
	for _, lead := range [...]string{"unknown ", nounKey + " ", "the option "} {
		text = strings.TrimPrefix(text, lead)
	}
	name := strings.TrimPrefix(text, `"`)
	if end := strings.IndexAny(name, "\" :"); end >= 0 {
		name = name[:end]
	}
	return s.lines[name]
}

// explain converts the error for a refused service into violations. It uses the client's wording where there
// is one, but unlike a client the author of the file may also see other errors.
func (s *service) explain(f *File, err error) Violations {
	var told *problem.Problem
	if !errors.As(err, &told) || told.Kind() == problem.Internal {
		return Violations{f.violation(s.lines[""], "service %s: %s", s.spec.Prefix, err)}
	}
	texts := told.Violations
	if len(texts) == 0 {
		texts = []string{cmp.Or(told.Detail, told.Title)}
	}
	var violations Violations
	for _, text := range texts {
		line := s.lineOf(text)
		switch {
		case line == 0 && s.module != "" && told.Kind() == problem.ModuleInvalid:
			line, text = s.lines["module"], "module "+s.module+": "+text
		case line == 0:
			text = "service " + string(s.spec.Prefix) + ": " + text
		}
		violations = append(violations, f.violation(cmp.Or(line, s.lines[""]), "%s", text))
	}
	return violations
}
