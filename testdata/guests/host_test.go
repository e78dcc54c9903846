package guests_test

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"
)

// host is a minimal http-wasm host over wazero to test the guests themselves: fully
// buffered, and without any isolation between requests.
type host struct {
	module      api.Module
	handle      api.Function
	*exchange             // of the current request
	readLimit   int       // maximum bytes of one read_body; zero: no limit
	random      io.Reader // source of the guest's random bytes; nil: fresh ones
	logMessages []string
}

// exchange is one request and its response; headers are name, value pairs by kind, in order.
type exchange struct {
	method, uri, body string
	headers           [4][][2]string
	status            uint32
	answer            strings.Builder
	writes            int
}

const (
	kindRequest = iota
	kindResponse
	kindRequestTrailers
	kindResponseTrailers
)

// maxPages limits guests to 16 MiB.
const maxPages = 256

// newHost instantiates the module and, in a reactor, runs _initialize.
func newHost(tb testing.TB, module []byte) *host {
	tb.Helper()
	return newHostWith(tb, module, nil)
}

// newHostWith is newHost with a source of the random bytes that the guest reads while it starts.
func newHostWith(tb testing.TB, module []byte, random io.Reader) *host {
	tb.Helper()
	ctx := tb.Context()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2|experimental.CoreFeaturesTailCall).
		WithMemoryLimitPages(maxPages).
		WithCompilationCache(compilationCache(tb)).
		WithCloseOnContextDone(true))
	tb.Cleanup(func() { r.Close(context.WithoutCancel(ctx)) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	h := &host{exchange: &exchange{}, random: random}
	h.instantiate(tb, r)
	h.instantiateVespo(tb, r)
	compiled, err := r.CompileModule(ctx, module)
	require.NoError(tb, err)
	h.module, err = r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().
		WithRandSource(h).WithSysWalltime().WithSysNanotime().WithStartFunctions("_initialize"))
	require.NoError(tb, err)
	h.handle = h.module.ExportedFunction("handle_request")
	return h
}

// compilationCache keeps compiled code for later tests and runs.
func compilationCache(tb testing.TB) wazero.CompilationCache {
	tb.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = tb.TempDir()
	}
	cache, err := wazero.NewCompilationCacheWithDir(filepath.Join(base, "vespo-test-guests", "compiled"))
	require.NoError(tb, err)
	return cache
}

// runCommand runs a WASI command to its end and returns its output.
func runCommand(tb testing.TB, module []byte, stdin string, env ...string) string {
	tb.Helper()
	ctx := tb.Context()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(compilationCache(tb)))
	defer r.Close(ctx)
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	var stdout, stderr strings.Builder
	config := wazero.NewModuleConfig().WithStdin(strings.NewReader(stdin)).WithStdout(&stdout).WithStderr(&stderr).WithArgs("guest")
	for _, entry := range env {
		name, value, _ := strings.Cut(entry, "=")
		config = config.WithEnv(name, value)
	}
	if _, err := r.InstantiateWithConfig(ctx, module, config); err != nil {
		var exit *sys.ExitError
		require.ErrorAs(tb, err, &exit, stderr.String())
		require.Zero(tb, exit.ExitCode(), stderr.String())
	}
	return stdout.String()
}

// Read is the guest's random source.
func (h *host) Read(p []byte) (int, error) {
	if h.random != nil {
		return h.random.Read(p)
	}
	return rand.Read(p)
}

// serve runs one request; the error is the guest's trap or a timeout.
func (h *host) serve(tb testing.TB, e *exchange) error {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 30*time.Second)
	defer cancel()
	return h.serveWithin(ctx, e)
}

func (h *host) serveWithin(ctx context.Context, e *exchange) error {
	e.status = 200
	h.exchange = e
	next, err := h.handle.Call(ctx)
	if err == nil && next[0] != 0 {
		panic("guest asks for a next handler")
	}
	return err
}

// get makes a GET request and returns the response.
func (h *host) get(tb testing.TB, uri string) (status uint32, body string) {
	tb.Helper()
	e := &exchange{method: "GET", uri: uri}
	require.NoError(tb, h.serve(tb, e))
	return e.status, e.answer.String()
}

func (e *exchange) header(kind int, name string) (values []string) {
	for _, h := range e.headers[kind] {
		if h[0] == name {
			values = append(values, h[1])
		}
	}
	return values
}

func (e *exchange) removeHeader(kind uint32, name string) {
	kept := e.headers[kind][:0]
	for _, h := range e.headers[kind] {
		if h[0] != name {
			kept = append(kept, h)
		}
	}
	e.headers[kind] = kept
}

func (h *host) instantiate(tb testing.TB, r wazero.Runtime) {
	tb.Helper()
	b := r.NewHostModuleBuilder("http_handler")
	export := func(name string, f any) { b.NewFunctionBuilder().WithFunc(f).Export(name) }
	export("enable_features", func(_ context.Context, features uint32) uint32 { return features })
	export("log_enabled", func(_ context.Context, level uint32) uint32 { return 1 })
	export("log", func(_ context.Context, m api.Module, level, ptr, size uint32) {
		h.logMessages = append(h.logMessages, text(m, ptr, size))
	})
	h.exportText(export, "get_config", func() string { return "" })
	h.exportText(export, "get_method", func() string { return h.method })
	h.exportText(export, "get_uri", func() string { return h.uri })
	h.exportText(export, "get_protocol_version", func() string { return "HTTP/1.1" })
	h.exportText(export, "get_source_addr", func() string { return "127.0.0.1:1234" })
	h.exportHeaders(export)
	export("read_body", func(_ context.Context, m api.Module, kind, buf, limit uint32) uint64 {
		if h.readLimit > 0 {
			limit = min(limit, uint32(h.readLimit))
		}
		n := min(int(limit), len(h.body))
		m.Memory().WriteString(buf, h.body[:n])
		h.body = h.body[n:]
		if h.body == "" {
			return 1<<32 | uint64(n)
		}
		return uint64(n)
	})
	export("write_body", func(_ context.Context, m api.Module, kind, ptr, size uint32) {
		h.answer.WriteString(text(m, ptr, size))
		h.writes++
	})
	export("set_method", func(_ context.Context, m api.Module, ptr, size uint32) { h.method = text(m, ptr, size) })
	export("set_uri", func(_ context.Context, m api.Module, ptr, size uint32) { h.uri = text(m, ptr, size) })
	export("get_status_code", func(context.Context) uint32 { return h.status })
	export("set_status_code", func(_ context.Context, status uint32) { h.status = status })
	_, err := b.Instantiate(tb.Context())
	require.NoError(tb, err)
}

// instantiateVespo adds a part of the server's extension, as if every guest were mounted at the root.
func (h *host) instantiateVespo(tb testing.TB, r wazero.Runtime) {
	tb.Helper()
	b := r.NewHostModuleBuilder("vespo")
	export := func(name string, f any) { b.NewFunctionBuilder().WithFunc(f).Export(name) }
	h.exportText(export, "prefix", func() string { return "/" })
	h.exportText(export, "rest", func() string { return h.uri })
	export("request_fields", func(_ context.Context, m api.Module, kind, buf, limit uint32) uint64 {
		var list []string
		for _, field := range h.headers[kindRequest] {
			list = append(list, http.CanonicalHeaderKey(field[0]), field[1]) // guests ask for the names of net/http
		}
		return putList(m, list, buf, limit)
	})
	_, err := b.Instantiate(tb.Context())
	require.NoError(tb, err)
}

func (h *host) exportText(export func(string, any), name string, get func() string) {
	export(name, func(_ context.Context, m api.Module, buf, limit uint32) uint32 {
		value := get()
		if len(value) <= int(limit) {
			m.Memory().WriteString(buf, value)
		}
		return uint32(len(value))
	})
}

func (h *host) exportHeaders(export func(string, any)) {
	export("get_header_names", func(_ context.Context, m api.Module, kind, buf, limit uint32) uint64 {
		var names []string
		seen := map[string]bool{}
		for _, h := range h.headers[kind] {
			if !seen[h[0]] {
				seen[h[0]] = true
				names = append(names, h[0])
			}
		}
		return putList(m, names, buf, limit)
	})
	export("get_header_values", func(_ context.Context, m api.Module, kind, name, nameLen, buf, limit uint32) uint64 {
		return putList(m, h.header(int(kind), strings.ToLower(text(m, name, nameLen))), buf, limit)
	})
	add := func(m api.Module, kind, name, nameLen, value, valueLen uint32, replace bool) {
		key := strings.ToLower(text(m, name, nameLen))
		if replace {
			h.removeHeader(kind, key)
		}
		h.headers[kind] = append(h.headers[kind], [2]string{key, text(m, value, valueLen)})
	}
	export("set_header_value", func(_ context.Context, m api.Module, kind, name, nameLen, value, valueLen uint32) {
		add(m, kind, name, nameLen, value, valueLen, true)
	})
	export("add_header_value", func(_ context.Context, m api.Module, kind, name, nameLen, value, valueLen uint32) {
		add(m, kind, name, nameLen, value, valueLen, false)
	})
	export("remove_header", func(_ context.Context, m api.Module, kind, name, nameLen uint32) {
		h.removeHeader(kind, strings.ToLower(text(m, name, nameLen)))
	})
}

// putList writes a list of strings if it fits, and returns its size.
func putList(m api.Module, values []string, buf, limit uint32) uint64 {
	all := ""
	for _, v := range values {
		all += v + "\x00"
	}
	if len(all) <= int(limit) {
		m.Memory().WriteString(buf, all)
	}
	return uint64(len(values))<<32 | uint64(len(all))
}

func text(m api.Module, ptr, size uint32) string {
	b, ok := m.Memory().Read(ptr, size)
	if !ok {
		panic("guest gives memory it does not have")
	}
	return string(b)
}
