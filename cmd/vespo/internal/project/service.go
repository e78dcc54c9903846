package project

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/vespo-dev/vespo/internal/spelling"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
)

// serviceFields returns the fields of a service that a project can set: those of modules, but for the module, its
// schedules, the limits of its requests, and its cache.
func serviceFields() []schema.Field {
	var fields []schema.Field
	for _, f := range slices.Concat(wasm.Description().Forms[0].Fields, schema.Schedules(), schema.Rate(), schema.Concurrency(), schema.Cache()) {
		if !f.Type.IsBlob() && !f.Internal {
			fields = append(fields, f)
		}
	}
	return fields
}

// parseService returns the values of the fields of a service. The error names all that are wrong.
func parseService(members map[string]json.RawMessage) (schema.Values, error) {
	var errs []error
	fields, values := serviceFields(), make(schema.Values)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		f, ok := schema.Find(fields, name)
		if !ok {
			var names []string
			for _, f := range fields {
				names = append(names, f.Name)
			}
			errs = append(errs, fmt.Errorf("service.%s is unknown%s", name, spelling.Hint(name, names)))
			continue
		}
		value, refused := f.ParseJSON(members[name])
		if refused != "" {
			errs = append(errs, fmt.Errorf("service.%s %s", name, refused))
			continue
		}
		values.Put(f, value)
	}
	return values, errors.Join(errs...)
}

// Service returns the fields of the service that the settings have.
func (p *Project) Service() map[string]any { return maps.Clone(p.service) }

// withFlags returns values with those of flags, which take precedence. Pairs are merged by their names.
func withFlags(values schema.Values, given map[string]any) schema.Values {
	merged := maps.Clone(values)
	for name, value := range given {
		merged[name] = mergePairs(values[name], value)
	}
	return merged
}

// mergePairs returns value, with the pairs of before whose names it does not have.
func mergePairs(before, value any) any {
	switch value := value.(type) {
	case map[string]string:
		before, _ := before.(map[string]string)
		return together(before, value)
	case schema.Settings:
		if before, ok := before.(schema.Settings); ok && value.Text == "" && before.Text == "" {
			value.ByName = together(before.ByName, value.ByName)
		}
		return value
	}
	return value
}

// together returns the pairs of two maps. Those of over take precedence.
func together(under, over map[string]string) map[string]string {
	all := make(map[string]string, len(under)+len(over))
	maps.Copy(all, under)
	maps.Copy(all, over)
	return all
}
