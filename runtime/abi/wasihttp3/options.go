package wasihttp3

import (
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// options is the resource of the timeouts of a request. Calls end at the deadline of the request that makes them at the latest.
type options struct {
	timeouts  [3]optionalDuration
	immutable bool
}

type optionalDuration struct {
	ns   uint64
	some bool
}

// Drop implements canonical.Resource.
func (*options) Drop() {}

// timeoutNames are the names of the timeouts, in the order of options.
var timeoutNames = [...]string{"connect-timeout", "first-byte-timeout", "between-bytes-timeout"}

// immutableOptions is the case of a request-options-error.
const immutableOptions = 1

// optionsFunctions returns the functions of the resource request-options.
func optionsFunctions() []engine.HostFunc {
	funcs := []engine.HostFunc{
		canonical.Func("[constructor]request-options", i32, func(s *canonical.State, p []uint64) {
			p[0] = uint64(s.Handles.Add(&options{}, 0))
		}),
		canonical.Func("[method]request-options.clone", i32, func(s *canonical.State, p []uint64) {
			o := *canonical.Get[*options](&s.Handles, p[0])
			o.immutable = false
			p[0] = uint64(s.Handles.Add(&o, 0))
		}, i32),
		canonical.DropFunc[*options]("request-options"),
	}
	for i, name := range timeoutNames {
		funcs = append(funcs,
			canonical.Func("[method]request-options.get-"+name, 0, func(s *canonical.State, p []uint64) {
				d := canonical.Get[*options](&s.Handles, p[0]).timeouts[i]
				m := s.Area(p[1], 16, 8)
				clear(m)
				if d.some {
					m[0] = 1
					canonical.PutUint64(m, 8, d.ns)
				}
			}, i32, i32),
			canonical.Func("[method]request-options.set-"+name, 0, func(s *canonical.State, p []uint64) {
				o, m := canonical.Get[*options](&s.Handles, p[0]), s.Area(p[3], headerResultBytes, headerResultAlign)
				clear(m)
				if o.immutable {
					m[0], m[4] = 1, immutableOptions
					return
				}
				o.timeouts[i] = optionalDuration{p[2], canonical.Case(p[1], 2) == 1}
			}, i32, i32, i64, i32))
	}
	return funcs
}
