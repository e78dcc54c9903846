package wasip2

import (
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// terminal is a resource that no guest has.
type terminal interface {
	canonical.Resource
	terminal()
}

func cliModules() []engine.HostModule {
	return []engine.HostModule{
		module("wasi:cli/environment",
			define("get-environment", none, func(s *State, p []uint64) { s.PutPairs(s.Area(p[0], 8, 4), 0, s.environment) }, i32),
			define("get-arguments", none, func(s *State, p []uint64) { s.PutStrings(s.Area(p[0], 8, 4), 0, nil) }, i32),
			define("initial-cwd", none, func(s *State, p []uint64) { s.Area(p[0], 12, 4)[0] = 0 }, i32),
		),
		module("wasi:cli/exit",
			define("exit", none, func(s *State, p []uint64) { s.In.ExitGuest(canonical.Case(p[0], 2)) }, i32),
			define("exit-with-code", none, func(s *State, p []uint64) { s.In.ExitGuest(uint32(uint8(p[0]))) }, i32),
		),
		module("wasi:cli/stdin", define("get-stdin", i32, func(s *State, p []uint64) {
			p[0] = uint64(s.Handles.Add(&InputStream{}, 0))
		})),
		module("wasi:cli/stdout", define("get-stdout", i32, func(s *State, p []uint64) {
			p[0] = s.standard(func(s *State) Sink { return s.stdout })
		})),
		module("wasi:cli/stderr", define("get-stderr", i32, func(s *State, p []uint64) {
			p[0] = s.standard(func(s *State) Sink { return s.stderr })
		})),
		module("wasi:cli/terminal-input", canonical.DropFunc[terminal]("terminal-input")),
		module("wasi:cli/terminal-output", canonical.DropFunc[terminal]("terminal-output")),
		module("wasi:cli/terminal-stdin", define("get-terminal-stdin", none, noTerminal, i32)),
		module("wasi:cli/terminal-stdout", define("get-terminal-stdout", none, noTerminal, i32)),
		module("wasi:cli/terminal-stderr", define("get-terminal-stderr", none, noTerminal, i32)),
	}
}

func noTerminal(s *State, p []uint64) { s.Area(p[0], 8, 4)[0] = 0 }

// standard returns a new handle of a standard stream.
func (s *State) standard(sink func(s *State) Sink) uint64 {
	return uint64(s.Handles.Add(&OutputStream{to: sink(s), renew: sink}, 0))
}

// variables returns the settings that can be environment variables, sorted by name.
func variables(settings map[string]string) (list [][2]string) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := settings[name]
		if name != "" && !strings.ContainsAny(name, "=\x00") && !strings.ContainsRune(value, 0) && utf8.ValidString(name) && utf8.ValidString(value) {
			list = append(list, [2]string{name, value})
		}
	}
	return list
}
