package wasicloud

import (
	"maps"
	"slices"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// configModules returns the settings of the service. They never fail.
func configModules() (all []engine.HostModule) {
	for _, name := range [...]string{"wasi:config/store@0.2.0-draft", "wasi:config/store@0.2.0-rc.1", "wasi:config/runtime@0.2.0-draft"} {
		functions := []engine.HostFunc{
			define("get", none, configGet, i32, i32, i32),
			define("get-all", none, configGetAll, i32),
		}
		all = append(all, engine.HostModule{Name: name, Funcs: functions})
	}
	return all
}

// configGet writes result<option<string>, error>: 16 bytes. The option is at 4.
func configGet(s *State, p []uint64) {
	m := s.Area(p[2], 16, 4)
	value, ok := s.settings.Get(s.text(p[0], p[1]))
	if m[4] = 0; ok {
		s.PutString(m, 8, value)
		m[4] = 1
	}
	m[0] = 0
}

// configGetAll writes result<list<tuple<string, string>>, error>: 16 bytes. The list is at 4.
func configGetAll(s *State, p []uint64) {
	m := s.Area(p[0], 16, 4)
	all := s.settings.All()
	pairs := make([][2]string, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		pairs = append(pairs, [2]string{name, all[name]})
	}
	s.PutPairs(m, 4, pairs)
	s.In.Check()
	m[0] = 0
}

// loggingModules returns the log of the service.
func loggingModules() (all []engine.HostModule) {
	for _, name := range [...]string{"wasi:logging/logging@0.1.0-draft", "wasi:logging/logging"} {
		log := define("log", none, logLine, i32, i32, i32, i32, i32)
		all = append(all, engine.HostModule{Name: name, Funcs: []engine.HostFunc{log}})
	}
	return all
}

// maxLoggedBytes is the length of a message that is logged. The rest is dropped: abi.Lines logs no more in a request.
const maxLoggedBytes = abi.MaxLogBytes

// levels are those of the host for trace, debug, info, warn, error and critical.
func levels() [6]abi.Level {
	return [...]abi.Level{abi.LevelDebug, abi.LevelDebug, abi.LevelInfo, abi.LevelWarn, abi.LevelError, abi.LevelError}
}

// logLine logs the context and the message, as "context: message".
func logLine(s *State, p []uint64) {
	known := levels()
	level := known[canonical.Case(p[0], uint32(len(known)))]
	where, message := s.Bytes(p[1], p[2]), s.Bytes(p[3], p[4])
	line := make([]byte, 0, 128)
	if len(where) > 0 {
		line = append(append(line, where[:min(len(where), abi.MaxLineBytes)]...), ": "...)
	}
	s.log.Line(level, append(line, message[:min(len(message), maxLoggedBytes)]...))
	s.In.Check()
}
