package extension

import (
	"testing"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
)

// TestNoFunctionGrowsTheHeap uses each function of the module a hundred thousand times in one request.
func TestNoFunctionGrowsTheHeap(t *testing.T) {
	g := newGuest(t, map[string]string{"name": "value"})
	out := &echo{}
	handle := -1
	// The echo keeps its calls with their headers and bodies; this memory belongs to the test.
	fresh := func() {
		if handle >= 0 {
			g.close(handle)
		}
		out.calls = nil
		handle = g.open("GET", "http://a/")
	}
	sent := func() {
		fresh()
		g.send(handle)
	}
	call := func(name string, params ...uint64) func() { return func() { g.bench.Call(g.in, name, params...) } }
	abitest.NothingGrows(t, HostModule().Funcs, map[string]func(){
		"prefix":         call("prefix", bufferAt, 100),
		"rest":           call("rest", bufferAt, 100),
		"request_fields": call("request_fields", kindRequest, bufferAt, 100),
		"config_get":     func() { at, n := g.put(firstAt, "name"); g.bench.Call(g.in, "config_get", at, n, bufferAt, 100) },
		"fetch_open": func() { // never closed: the Outbound implementation bounds the calls of a request
			if len(out.calls) >= 32 {
				out.refuse = &abi.OutboundError{Code: abi.OutboundTooMany, Reason: "32 calls are open"}
			}
			g.open("GET", "http://a/")
		},
		"fetch_header":       func() { fresh(); g.header(handle, "X-Name", "value") },
		"fetch_add_fields":   func() { fresh(); g.addFields(handle, terminated("X-Name", "value")) },
		"fetch_fields":       func() { sent(); g.bench.Call(g.in, "fetch_fields", uint64(handle), kindHeader, bufferAt, 100) },
		"fetch_write":        func() { fresh(); g.write(handle, "text") },
		"fetch_send":         sent,
		"fetch_header_names": func() { sent(); g.bench.Call(g.in, "fetch_header_names", uint64(handle), kindHeader, bufferAt, 100) },
		"fetch_header_values": func() {
			sent()
			g.bench.Call(g.in, "fetch_header_values", uint64(handle), kindHeader, firstAt, 3, bufferAt, 100)
		},
		"fetch_read":  func() { sent(); g.bench.Call(g.in, "fetch_read", uint64(handle), bufferAt, 100) },
		"fetch_close": fresh,
		"kv_get":      func() { g.store("kv_get", bufferAt, 100) },
		"kv_entry":    func() { g.store("kv_get", bufferAt, 100); call("kv_entry", partValue, bufferAt, 100)() },
		"kv_put":      func() { g.store("kv_put", bufferAt, 100, bufferAt, 10, 0, anyone) },
		"kv_delete":   func() { g.store("kv_delete", anyone) },
		"kv_add":      func() { g.store("kv_add", 1, bufferAt) },
		"kv_list":     func() { call("kv_list", firstAt, 1, 0, 0, 0, 0, 10, bufferAt, 100)() },
		"kv_page":     func() { call("kv_list", firstAt, 1, 0, 0, 0, 0, 10, 0, 0)(); call("kv_page", bufferAt, 100)() },
	}, func(code func()) {
		handle, out.refuse, g.log = -1, nil, nil
		g.run(out, func() {
			g.in.Extension.(*State).current.KeyValue = &shelf{page: abi.KeyValuePage{Entries: make([]abi.KeyValueEntry, 3)}}
			code()
			g.log = nil
		})
	})
}
