package wasm

import (
	"slices"
	"strings"

	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services"
)

var _ services.Interfaced = (*Kind)(nil)

var _ services.Inert = (*Kind)(nil)

// Inert implements services.Inert: a mirrored request can make no requests, and only read the key-value stores.
func (k *Kind) Inert() {}

// Interfaces implements services.Interfaced: the interfaces of a component, or the imports and exports of a module.
func (k *Kind) Interfaces(module []byte) (imports, exports []string, err error) {
	decoded, err := engine.Decode(module)
	if err != nil {
		return nil, nil, err
	}
	if world := decoded.World(); world != nil {
		return world.Imports, world.Exports, nil
	}
	info := decoded.Info()
	for _, im := range info.Imports {
		imports = append(imports, strings.ToValidUTF8(im.Module+"."+im.Name, "?"))
	}
	for _, ex := range info.Exports {
		exports = append(exports, strings.ToValidUTF8(ex.Name, "?"))
	}
	slices.Sort(imports)
	slices.Sort(exports)
	return slices.Compact(imports), slices.Compact(exports), nil
}
