package deploy

import (
	"context"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// Interfaces returns the names of the imports and exports of a version's module. Both are empty for versions without a
// module, and for a module that no kind of this server can read.
func (d *Deployer) Interfaces(ctx context.Context, v registry.Version) (imports, exports []string, err error) {
	own := v.BlobsOf(schema.FieldModule)
	reader := d.interfaced(v.Kind)
	if len(own) == 0 || reader == nil {
		return nil, nil, nil
	}
	module, err := d.cfg.Registry.Blob(ctx, own[0])
	if err != nil {
		return nil, nil, asProblem("read the module of the version", err)
	}
	if imports, exports, err = reader.Interfaces(module); err != nil {
		return nil, nil, nil // it was accepted by another release
	}
	return imports, exports, nil
}

// interfaced returns the kind that reads modules of a kind: itself, or another one that the kind leaves its modules to.
func (d *Deployer) interfaced(kind string) services.Interfaced {
	if own, ok := d.kinds[kind].(services.Interfaced); ok {
		return own
	}
	for _, k := range d.cfg.Kinds {
		if other, ok := k.(services.Interfaced); ok {
			return other
		}
	}
	return nil
}
