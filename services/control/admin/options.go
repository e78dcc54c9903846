package admin

import (
	"maps"
	"slices"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/schema"
)

// options are the fields of a version by name, as JSON. Of secret pairs it has the sorted names, of a text its size, of
// other secrets the number of values.
type options map[string]any

// optionsOf returns nil if the manifest is not one of the kind.
func (h *Handler) optionsOf(v registry.Version) options {
	kind, _ := h.cfg.Kinds.Get(v.Kind)
	values, form, err := kind.ValuesOf(v)
	if err != nil {
		return nil
	}
	shown := make(options, len(values))
	for name, value := range values {
		f, _ := form.Field(name)
		shown[name] = value
		switch secret := value.(type) {
		case map[string]string:
			if f.Secret {
				shown[name] = slices.Sorted(maps.Keys(secret))
			}
		case schema.Settings:
			shown[name] = secret.Names()
			if secret.Text != "" {
				shown[name] = secret.Summary()
			}
		case []string:
			if f.Secret {
				shown[name] = len(secret)
			}
		}
	}
	return shown
}

func (o options) text(name string) string {
	text, _ := o[name].(string)
	return text
}

func (o options) number(name string) int64 {
	n, _ := o[name].(int64)
	return n
}

func (o options) list(name string) []string {
	list, _ := o[name].([]string)
	return list
}

func (o options) pairs(name string) map[string]string {
	pairs, _ := o[name].(map[string]string)
	return pairs
}

// moduleDigest returns the digest of the module, or of the manifest if the version has no module.
func moduleDigest(v registry.Version) registry.Digest {
	if own := v.BlobsOf(schema.FieldModule); len(own) > 0 {
		return own[0]
	}
	return registry.DigestOf([]byte(v.Manifest))
}

// sizeOf returns the size of the module, or of the manifest if the version has no module.
func sizeOf(v registry.Version) int64 {
	for _, b := range v.Blobs {
		if b.Field == schema.FieldModule {
			return b.SizeBytes
		}
	}
	return int64(len(v.Manifest))
}
