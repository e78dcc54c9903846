package server

import (
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/kinds/static"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
)

// Kinds describes the kinds of services that a server has, with the fields of the middleware.
func Kinds() schema.Kinds {
	return schema.Kinds{
		wasm.Description(),
		function.ModulesDescription(wasm.FunctionDescription()),
		proxy.Description(),
		static.Description(),
		function.Description(),
		queue.Description(),
	}.With(schema.Middleware()...)
}
