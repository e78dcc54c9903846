package admin

import (
	"maps"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/fields"
	"github.com/vespo-dev/vespo/services/schema"
)

// spec returns the spec that the request makes of the current version, whose Kind is empty if there is none. Options
// that the request does not give keep their values. If the kind changes, only those common to all kinds do.
func (r *addRequest) spec(kinds schema.Kinds, current registry.Version, blobs []services.Blob) (services.Spec, error) {
	before, err := r.kept(kinds, current)
	if err != nil {
		return services.Spec{}, err
	}
	if current.Kind != "" && !r.reset && !r.fields.Has(schema.FieldUse) {
		for _, digest := range current.BlobsOf(schema.FieldUse) {
			blobs = append(blobs, services.Blob{Field: schema.FieldUse, Digest: digest})
		}
	}
	spec := services.Spec{Key: r.key, Kind: r.selected.Kind.Name, Blobs: blobs, Note: r.note}
	if spec.Blob(schema.FieldUse).Field == "" { // settings of middleware that is gone
		delete(before, schema.FieldUseConfig)
	}
	spec.Manifest = r.fields.Values(r.selected.Form, before).Manifest()
	return spec, r.fields.Err()
}

// kept returns the values of the current version that the request may keep.
func (r *addRequest) kept(kinds schema.Kinds, current registry.Version) (schema.Values, error) {
	if current.Kind == "" || r.reset {
		return nil, nil
	}
	kind, known := kinds.Get(current.Kind)
	if !known {
		return nil, nil
	}
	values, form, err := kind.ValuesOf(current)
	if err != nil {
		return nil, err
	}
	if r.selected.Same(fields.Selection{Kind: kind, Form: form}) {
		return values, nil
	}
	maps.DeleteFunc(values, func(name string, _ any) bool {
		f, _ := form.Field(name)
		return !f.Common
	})
	return values, nil
}
