package peer

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// exchange is one request and its response.
type exchange struct {
	w       http.ResponseWriter
	r       *http.Request
	status  int
	started bool
}

type exchangeKey struct{}

// start sends the header.
func (x *exchange) start() {
	if !x.started {
		x.started = true
		x.w.WriteHeader(x.status)
	}
}

const i32, i64 = api.ValueTypeI32, api.ValueTypeI64

// handlerFunctions are the http-wasm functions imported by the benchmark's guests.
var handlerFunctions = []struct {
	name            string
	params, results []api.ValueType
	call            func(x *exchange, m api.Memory, p []uint64)
}{
	{"get_method", []api.ValueType{i32, i32}, []api.ValueType{i32}, func(x *exchange, m api.Memory, p []uint64) { put(m, p, x.r.Method) }},
	{"get_uri", []api.ValueType{i32, i32}, []api.ValueType{i32}, func(x *exchange, m api.Memory, p []uint64) { put(m, p, x.r.URL.RequestURI()) }},
	{"get_protocol_version", []api.ValueType{i32, i32}, []api.ValueType{i32}, func(x *exchange, m api.Memory, p []uint64) { put(m, p, x.r.Proto) }},
	{"get_source_addr", []api.ValueType{i32, i32}, []api.ValueType{i32}, func(x *exchange, m api.Memory, p []uint64) { put(m, p, x.r.RemoteAddr) }},
	{"get_header_names", []api.ValueType{i32, i32, i32}, []api.ValueType{i64}, func(x *exchange, m api.Memory, p []uint64) {
		p[0] = putList(m, p[1], p[2], slices.Collect(maps.Keys(x.r.Header)))
	}},
	{"get_header_values", []api.ValueType{i32, i32, i32, i32, i32}, []api.ValueType{i64}, func(x *exchange, m api.Memory, p []uint64) {
		p[0] = putList(m, p[3], p[4], x.r.Header.Values(text(m, p[1], p[2])))
	}},
	{"read_body", []api.ValueType{i32, i32, i32}, []api.ValueType{i64}, readBody},
	{"set_status_code", []api.ValueType{i32}, nil, func(x *exchange, _ api.Memory, p []uint64) { x.status = int(uint32(p[0])) }},
	{"set_header_value", []api.ValueType{i32, i32, i32, i32, i32}, nil, func(x *exchange, m api.Memory, p []uint64) {
		x.w.Header().Set(text(m, p[1], p[2]), text(m, p[3], p[4]))
	}},
	{"add_header_value", []api.ValueType{i32, i32, i32, i32, i32}, nil, func(x *exchange, m api.Memory, p []uint64) {
		x.w.Header().Add(text(m, p[1], p[2]), text(m, p[3], p[4]))
	}},
	{"get_status_code", nil, []api.ValueType{i32}, func(x *exchange, _ api.Memory, p []uint64) { p[0] = uint64(x.status) }},
	{"remove_header", []api.ValueType{i32, i32, i32}, nil, func(x *exchange, m api.Memory, p []uint64) {
		x.w.Header().Del(text(m, p[1], p[2]))
	}},
	{"write_body", []api.ValueType{i32, i32, i32}, nil, func(x *exchange, m api.Memory, p []uint64) {
		x.start()
		_, _ = x.w.Write(view(m, p[1], p[2])) // the HTTP server handles write errors
	}},
	{"get_config", []api.ValueType{i32, i32}, []api.ValueType{i32}, func(_ *exchange, m api.Memory, p []uint64) { put(m, p, "") }},
	{"set_method", []api.ValueType{i32, i32}, nil, nil},
	{"set_uri", []api.ValueType{i32, i32}, nil, nil},
	{"log_enabled", []api.ValueType{i32}, []api.ValueType{i32}, nil},
	{"enable_features", []api.ValueType{i32}, []api.ValueType{i32}, nil},
	{"log", []api.ValueType{i32, i32, i32}, nil, nil},
}

// instantiateHandler instantiates the host module. Functions without an implementation do
// nothing and return their first parameter.
func instantiateHandler(ctx context.Context, r wazero.Runtime) error {
	b := r.NewHostModuleBuilder("http_handler")
	for _, f := range handlerFunctions {
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, p []uint64) {
			if f.call != nil {
				f.call(ctx.Value(exchangeKey{}).(*exchange), m.Memory(), p)
			}
		}), f.params, f.results).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func readBody(x *exchange, m api.Memory, p []uint64) {
	n, err := x.r.Body.Read(view(m, p[1], p[2]))
	p[0] = uint64(n)
	if errors.Is(err, io.EOF) {
		p[0] |= 1 << 32
	}
}

// putList writes texts to the guest's buffer, each with a zero at its end, if they fit. It returns their number in the upper half
// of the result, and their length in the lower one.
func putList(m api.Memory, at, limit uint64, texts []string) uint64 {
	length := len(texts)
	for _, s := range texts {
		length += len(s)
	}
	if length <= int(uint32(limit)) {
		m.WriteString(uint32(at), strings.Join(append(texts, ""), "\x00"))
	}
	return uint64(len(texts))<<32 | uint64(length)
}

// put writes s to the guest's buffer if it fits, and returns the length of s.
func put(m api.Memory, p []uint64, s string) {
	if len(s) <= int(uint32(p[1])) {
		m.WriteString(uint32(p[0]), s)
	}
	p[0] = uint64(len(s))
}

func text(m api.Memory, at, length uint64) string { return string(view(m, at, length)) }

// view panics, which traps the guest, if the range is outside of its memory.
func view(m api.Memory, at, length uint64) []byte {
	b, ok := m.Read(uint32(at), uint32(length))
	if !ok {
		panic("the guest gave a host function memory that it does not have")
	}
	return b
}
