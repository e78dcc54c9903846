package guests_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestWatIsBuilt detects sources changed without their modules.
func TestWatIsBuilt(t *testing.T) {
	tool, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not installed (package wabt)")
	}
	sources, err := filepath.Glob("wat/*.wat")
	require.NoError(t, err)
	require.NotEmpty(t, sources)
	for _, source := range sources {
		out := filepath.Join(t.TempDir(), "out.wasm")
		msg, err := exec.Command(tool, "--enable-tail-call", source, "-o", out).CombinedOutput()
		require.NoError(t, err, "%s", msg)
		want, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Equal(t, want, guests.Wat(t, strings.TrimSuffix(filepath.Base(source), ".wat")), "%s: run go generate", source)
	}
}

// TestWatCompiles checks that the hand-written guests use only features enabled by the server.
func TestWatCompiles(t *testing.T) {
	modules, err := filepath.Glob("wat/*.wasm")
	require.NoError(t, err)
	config := wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesTailCall)
	r := wazero.NewRuntimeWithConfig(t.Context(), config)
	defer r.Close(context.Background())
	for _, module := range modules {
		_, err := r.CompileModule(t.Context(), guests.Wat(t, strings.TrimSuffix(filepath.Base(module), ".wasm")))
		require.NoError(t, err, module)
	}
}

func TestHello(t *testing.T) {
	h := newHost(t, guests.Wat(t, "hello"))
	e := &exchange{method: "GET", uri: "/"}
	require.NoError(t, h.serve(t, e))
	require.Equal(t, uint32(200), e.status)
	require.Equal(t, "hello from vespo\n", e.answer.String())
	require.Equal(t, []string{"text/plain"}, e.header(kindResponse, "content-type"))
}

func TestEcho(t *testing.T) {
	h := newHost(t, guests.Wat(t, "echo"))
	h.readLimit = 1000
	e := &exchange{method: "POST", uri: "/echo?q=1", body: strings.Repeat("0123456789", 10_000)}
	e.headers[kindRequest] = [][2]string{{"content-type", "text/x-digits"}}
	want := e.body
	require.NoError(t, h.serve(t, e))
	require.Equal(t, uint32(200), e.status)
	require.Equal(t, want, e.answer.String())
	require.Equal(t, []string{"text/x-digits"}, e.header(kindResponse, "content-type"))
	require.Equal(t, []string{"POST"}, e.header(kindResponse, "x-method"))
	require.Equal(t, []string{"/echo?q=1"}, e.header(kindResponse, "x-uri"))

	e = &exchange{method: "GET", uri: "/"}
	require.NoError(t, h.serve(t, e))
	require.Empty(t, e.answer.String())
	require.Empty(t, e.header(kindResponse, "content-type"))

	e = &exchange{method: "GET", uri: "/" + strings.Repeat("x", 16<<10)}
	require.NoError(t, h.serve(t, e))
	require.Equal(t, uint32(431), e.status)
}

func TestOOM(t *testing.T) {
	for uri, want := range map[string]uint32{
		"/10": 200, "/oom/10": 200, "/a/b/1000?x=/3": 200, "/0": 200,
		"/": 400, "": 400, "/x": 400, "/10/": 400, "/-1": 400, "/10x": 400, "/4194304": 400, "/99999999999999999999": 400,
		"/" + strings.Repeat("1", 5000): 400,
	} {
		h := newHost(t, guests.Wat(t, "oom"))
		status, _ := h.get(t, uri)
		require.Equal(t, want, status, uri)
	}

	h := newHost(t, guests.Wat(t, "oom"))
	before := h.module.Memory().Size()
	_, body := h.get(t, "/oom/100")
	require.Equal(t, "successfully allocated 100kb of memory\n", body)
	grown, ok := h.module.Memory().Read(before, h.module.Memory().Size()-before)
	require.True(t, ok)
	require.Equal(t, 100<<10, strings.Count(string(grown), "\xaa"), "bytes touched")

	err := h.serve(t, &exchange{method: "GET", uri: "/20000"})
	require.ErrorContains(t, err, "unreachable")
}

func TestSpin(t *testing.T) {
	module := guests.Wat(t, "spin")
	for _, uri := range []string{"/", "/spin/", "/spin?/loop", "/xloop", "/loop/", "loop"} {
		status, body := newHost(t, module).get(t, uri)
		require.Equal(t, uint32(200), status, uri)
		require.Equal(t, "ok\n", body, uri)
	}
	status, body := newHost(t, module).get(t, "/growok")
	require.Equal(t, uint32(200), status)
	require.Equal(t, "ok\n", body)

	for uri, reason := range map[string]string{
		"/trap": "unreachable", "/spin/grow": "unreachable", "/oobstore?x": "out of bounds memory access",
		"/recurse": "stack overflow", "/indirect": "stack overflow", "/partial": "unreachable",
	} {
		err := newHost(t, module).serve(t, &exchange{method: "GET", uri: uri})
		require.ErrorContains(t, err, reason, uri)
	}
}

// TestSpinWithoutEnd runs the cases that only the host's own stop check ends: wazero checks
// in loops, not in calls, so /tree and /tail cannot be tested here.
func TestSpinWithoutEnd(t *testing.T) {
	for _, uri := range []string{"/loop", "/fill", "/copy", "/stall"} {
		h := newHost(t, guests.Wat(t, "spin"))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		require.Error(t, h.serveWithin(ctx, &exchange{method: "GET", uri: uri}), uri)
		require.Error(t, ctx.Err(), "%s ended by itself", uri)
		cancel()
	}
}

// TestSecret checks that the guests find their hidden data on a host that resets nothing.
func TestSecret(t *testing.T) {
	for name, places := range map[string][]string{
		"secret":       {"low memory", "static data", "high memory", "memory size", "i32 global", "i64 global", "f32 global", "f64 global"},
		"secretvector": {"low half", "high half"},
		"secrettable":  {"table size", "table entry", "empty entry", "funcref global"},
	} {
		module := guests.Wat(t, name)
		h := newHost(t, module)
		status, body := h.get(t, "/")
		require.Equal(t, uint32(200), status, "%s: %s", name, body)
		require.Equal(t, "clean\n", body)

		h = newHost(t, module)
		e := &exchange{method: "POST", uri: "/", body: "the secret of some length, odd."}
		require.NoError(t, h.serve(t, e))
		require.Equal(t, "hidden\n", e.answer.String())
		status, body = h.get(t, "/")
		require.Equal(t, uint32(500), status)
		require.Equal(t, places[0]+"\n", body, name)
		for _, place := range places {
			require.Contains(t, string(module), place)
		}
	}
	h := newHost(t, guests.Wat(t, "secret"))
	e := &exchange{method: "POST", uri: "/", body: "too short"}
	require.NoError(t, h.serve(t, e))
	require.Equal(t, uint32(400), e.status)
}

// TestSecretMemory plants one byte at a time.
func TestSecretMemory(t *testing.T) {
	module := guests.Wat(t, "secret")
	const endBytes = 2 << 16
	for address, place := range map[uint32]string{
		0: "low memory", 0x3ff: "low memory", 0x4f8: "static data", 0x4ff: "static data", 0x500: "high memory", endBytes - 1: "high memory",
	} {
		h := newHost(t, module)
		require.True(t, h.module.Memory().WriteByte(address, 'x'))
		_, body := h.get(t, "/")
		require.Equal(t, place+"\n", body, "%#x", address)
	}
}

func TestCGIGuests(t *testing.T) {
	env := []string{"REQUEST_METHOD=GET", "REQUEST_URI=/cgi/x", "SERVER_PROTOCOL=HTTP/1.1", "HTTP_HOST=localhost"}
	require.Equal(t, "Content-Type: text/plain\n\nhello from a command\n", runCommand(t, guests.Go(t, "gocmd"), "", env...))

	module := guests.Go(t, "gocgi")
	require.Contains(t, runCommand(t, module, "", env...), "hello /cgi/x\n")
	env[0] = "REQUEST_METHOD=POST"
	out := runCommand(t, module, "the body", append(env, "CONTENT_LENGTH=8", "CONTENT_TYPE=text/x-test")...)
	require.Contains(t, out, "text/x-test")
	require.Contains(t, out, "\r\n\r\nthe body")
}

func TestGoGuests(t *testing.T) {
	h := newHost(t, guests.Go(t, "gohello"))
	for range 2 {
		status, body := h.get(t, "/")
		require.Equal(t, uint32(200), status)
		require.Equal(t, "hello from go\n", body)
	}
	require.Equal(t, []string{"2"}, h.header(kindResponse, "x-hits"))
}

func TestGoNetHTTP(t *testing.T) {
	h := newHost(t, guests.Go(t, "gonethttp"))
	status, body := h.get(t, "/prefix/hello/world?x")
	require.Equal(t, uint32(200), status)
	require.Equal(t, "hello world\n", body)
	status, _ = h.get(t, "/nothing")
	require.Equal(t, uint32(404), status)
	e := &exchange{method: "POST", uri: "/upper", body: "shout"}
	require.NoError(t, h.serve(t, e))
	require.Equal(t, "SHOUT", e.answer.String())
	_, body = h.get(t, "/hits")
	require.Equal(t, "4\n", body)
}

func TestHeaders(t *testing.T) {
	h := newHost(t, guests.Go(t, "headers"))
	e := &exchange{method: "PUT", uri: "/h?x=y", body: "12345"}
	e.headers[kindRequest] = [][2]string{{"a", "1"}, {"b", strings.Repeat("long", 1000)}, {"a", "2"}}
	e.headers[kindRequestTrailers] = [][2]string{{"sum", "15"}}
	require.NoError(t, h.serve(t, e))
	var seen map[string]any
	require.NoError(t, json.Unmarshal([]byte(e.answer.String()), &seen))
	require.Equal(t, map[string]any{
		"method": "PUT", "uri": "/h?x=y", "protocol": "HTTP/1.1", "source": "127.0.0.1:1234", "body_bytes": 5., "features": 4.,
		"headers":  map[string]any{"a": []any{"1", "2"}, "b": []any{strings.Repeat("long", 1000)}},
		"trailers": map[string]any{"sum": []any{"15"}},
	}, seen)
	require.Equal(t, []string{"first", "second"}, e.header(kindResponse, "x-two"))
	require.Equal(t, []string{"behind the body"}, e.header(kindResponseTrailers, "x-trailer"))
}
