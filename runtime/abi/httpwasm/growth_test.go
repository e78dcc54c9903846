package httpwasm

import (
	"testing"

	"github.com/vespo-dev/vespo/runtime/abi/abitest"
)

// TestNoFunctionGrowsTheHeap uses each function of the interface a hundred thousand times in one request.
func TestNoFunctionGrowsTheHeap(t *testing.T) {
	g := newGuest(t, nil)
	call := func(name string, params ...uint64) func() { return func() { g.bench.Call(g.in, name, params...) } }
	i := 0
	names := []string{"X-A", "X-B", "X-C", "X-D"}
	field := func(f func(kind uint64, name, value string)) func() {
		return func() {
			i++
			f(headerResponse, names[i%len(names)], "value")
		}
	}
	abitest.NothingGrows(t, HostModule().Funcs, map[string]func(){
		"enable_features":   call("enable_features", featureTrailers),
		"get_config":        call("get_config", valueAt, 100),
		"log_enabled":       call("log_enabled", 0),
		"log":               func() { at, n := g.put(valueAt, "a line"); g.bench.Call(g.in, "log", 0, at, n); g.log = nil },
		"get_header_names":  call("get_header_names", headerRequest, valueAt, 100),
		"get_header_values": call("get_header_values", headerRequest, nameAt, 4, valueAt, 100),
		"set_header_value":  field(g.set),
		"add_header_value":  field(g.add), // until the header is full, which ends the guest
		"remove_header":     func() { field(g.set)(); g.remove(headerResponse, names[i%len(names)]) },
		"read_body":         func() { g.read(bodyRequest, 10) },
		"write_body": func() {
			g.write(bodyResponse, "text")
			g.response.Body.Reset()
			g.response.Flushed = nil
		},
		"get_method":           call("get_method", valueAt, 100),
		"set_method":           func() { g.setText("set_method", "PUT") },
		"get_uri":              call("get_uri", valueAt, 100),
		"set_uri":              func() { g.setText("set_uri", "/a/c?d=e") },
		"get_protocol_version": call("get_protocol_version", valueAt, 100),
		"get_source_addr":      call("get_source_addr", valueAt, 100),
		"get_status_code":      func() { g.status() },
		"set_status_code":      func() { g.setStatus(201) },
	}, func(code func()) { g.handle(code) })
}
