package main

import (
	"errors"
	"io"
	"net/http"

	"github.com/bytecodealliance/wasmtime-go/v37"
)

// exchange is one request and its response.
type exchange struct {
	w       http.ResponseWriter
	r       *http.Request
	status  int
	started bool
}

// start sends the header.
func (x *exchange) start() {
	if !x.started {
		x.started = true
		x.w.WriteHeader(x.status)
	}
}

// linked are the host functions of one request at a time.
type linked struct {
	linker   *wasmtime.Linker
	exchange exchange
}

// functions are the http-wasm functions that the guests import. The memory is nil for those without an implementation, which return
// their first parameter.
var functions = []struct {
	name            string
	params, results string
	call            func(x *exchange, memory []byte, p []wasmtime.Val) int64
}{
	{"get_method", "ii", "i", func(x *exchange, m []byte, p []wasmtime.Val) int64 { return put(m, p, x.r.Method) }},
	{"get_uri", "ii", "i", func(x *exchange, m []byte, p []wasmtime.Val) int64 { return put(m, p, x.r.URL.RequestURI()) }},
	{"read_body", "iii", "I", readBody},
	{"set_status_code", "i", "", func(x *exchange, _ []byte, p []wasmtime.Val) int64 {
		x.status = int(p[0].I32())
		return 0
	}},
	{"set_header_value", "iiiii", "", func(x *exchange, m []byte, p []wasmtime.Val) int64 {
		x.w.Header().Set(string(view(m, p[1], p[2])), string(view(m, p[3], p[4])))
		return 0
	}},
	{"add_header_value", "iiiii", "", func(x *exchange, m []byte, p []wasmtime.Val) int64 {
		x.w.Header().Add(string(view(m, p[1], p[2])), string(view(m, p[3], p[4])))
		return 0
	}},
	{"write_body", "iii", "", func(x *exchange, m []byte, p []wasmtime.Val) int64 {
		x.start()
		_, _ = x.w.Write(view(m, p[1], p[2])) // the HTTP server handles write errors
		return 0
	}},
	{"enable_features", "i", "i", nil},
	{"log", "iii", "", nil},
}

func newLinked(engine *wasmtime.Engine) (*linked, error) {
	l := &linked{linker: wasmtime.NewLinker(engine)}
	if err := l.linker.DefineWasi(); err != nil {
		return nil, err
	}
	for _, f := range functions {
		ty := wasmtime.NewFuncType(types(f.params), types(f.results))
		err := l.linker.FuncNew("http_handler", f.name, ty, func(c *wasmtime.Caller, p []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
			var result int64
			if f.call != nil {
				result = f.call(&l.exchange, c.GetExport("memory").Memory().UnsafeData(c), p)
			} else {
				result = int64(p[0].I32())
			}
			switch f.results {
			case "i":
				return []wasmtime.Val{wasmtime.ValI32(int32(result))}, nil
			case "I":
				return []wasmtime.Val{wasmtime.ValI64(result)}, nil
			}
			return nil, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return l, nil
}

// types returns value types: i is i32, I is i64.
func types(letters string) (all []*wasmtime.ValType) {
	for _, letter := range letters {
		kind := wasmtime.KindI32
		if letter == 'I' {
			kind = wasmtime.KindI64
		}
		all = append(all, wasmtime.NewValType(kind))
	}
	return all
}

func readBody(x *exchange, m []byte, p []wasmtime.Val) int64 {
	n, err := x.r.Body.Read(view(m, p[1], p[2]))
	if errors.Is(err, io.EOF) {
		return int64(n) | 1<<32
	}
	return int64(n)
}

// put writes s to the guest's buffer if it fits, and returns the length of s.
func put(m []byte, p []wasmtime.Val, s string) int64 {
	if len(s) <= int(uint32(p[1].I32())) {
		copy(m[uint32(p[0].I32()):], s)
	}
	return int64(len(s))
}

// view panics if the range is outside of the memory.
func view(m []byte, at, length wasmtime.Val) []byte {
	from := uint64(uint32(at.I32()))
	return m[from : from+uint64(uint32(length.I32()))]
}
