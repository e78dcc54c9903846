// Package allkinds describes the kinds of a server, for tests of packages that know no kind.
package allkinds

import (
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
)

// Describe returns the descriptions, with the fields that all have.
func Describe() schema.Kinds {
	return schema.Kinds{
		wasm.Description(),
		function.ModulesDescription(wasm.FunctionDescription()),
		proxy.Description(),
		static.Description(),
		function.Description(),
		queue.Description(),
	}.With(schema.Shared()...)
}
