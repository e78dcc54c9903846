package wasm

import (
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/cgi"
	"github.com/vespo-dev/vespo/runtime/abi/command"
	"github.com/vespo-dev/vespo/runtime/abi/httpwasm"
	"github.com/vespo-dev/vespo/runtime/abi/wasihttp"
	"github.com/vespo-dev/vespo/runtime/abi/wasihttp3"
)

// newABIs returns all guest interfaces, in the order of detection. An ABI is added here and nowhere else.
func newABIs(cfg Config) []abi.ABI {
	return []abi.ABI{
		httpwasm.New(httpwasm.Config{BufferBytes: cfg.MaxBodyBytes}),
		wasihttp.ABI{},
		wasihttp3.ABI{},
		cgi.ABI{},
		command.ABI{},
	}
}

// forwarders describes the ABIs whose guests can be middleware.
func forwarders(servers []abi.Server) string {
	var names []string
	for _, s := range servers {
		if t := s.Traits(); t.Forwards {
			names = append(names, t.Name+", which exports "+t.Export)
		}
	}
	return strings.Join(names, ", or of ")
}
