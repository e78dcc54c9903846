package guests_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestSDKRandom starts two instances with the same random bytes, as a snapshot does for
// requests, and compares the numbers of their first requests.
func TestSDKRandom(t *testing.T) {
	module := guests.SDK(t, "random")
	first, second := firstNumbers(t, module), firstNumbers(t, module)
	require.Equal(t, "true", first["reseeds"])
	for source, same := range map[string]bool{
		"init-number": true, "init-maphash": true, "init-source": true,
		"crypto/rand": false, "Request.Rand": false, "math/rand": false, "math/rand/v2": false, "maphash.MakeSeed": false,
		"map-order": false, "init-map-order": false,
	} {
		require.NotEmpty(t, first[source], source)
		require.Equal(t, same, first[source] == second[source], "%s: %s and %s", source, first[source], second[source])
	}
}

func firstNumbers(t *testing.T, module []byte) map[string]string {
	t.Helper()
	h := newHostWith(t, module, rand.NewChaCha8([32]byte{1}))
	h.random = nil
	status, body := h.get(t, "/")
	require.Equal(t, uint32(200), status)
	t.Log(body)
	numbers := map[string]string{}
	for line := range strings.Lines(body) {
		source, number, _ := strings.Cut(strings.TrimSpace(line), " ")
		numbers[source] = number
	}
	return numbers
}

func TestSDKHello(t *testing.T) {
	h := newHost(t, guests.SDK(t, "hello"))
	for range 3 {
		status, body := h.get(t, "/there?x=y")
		require.Equal(t, uint32(200), status)
		require.Equal(t, "hello from /there\n", body)
	}
	require.Equal(t, []string{"text/plain; charset=utf-8"}, h.header(kindResponse, "content-type"))
}

func TestSDKEcho(t *testing.T) {
	h := newHost(t, guests.SDK(t, "echo"))
	h.readLimit = 1000
	e := &exchange{method: "POST", uri: "/", body: strings.Repeat("0123456789", 10_000)}
	want := e.body
	require.NoError(t, h.serve(t, e))
	require.Equal(t, want, e.answer.String())
	require.Equal(t, []string{"100000"}, e.header(kindResponseTrailers, "x-body-bytes"))
}

// TestSDKNeedsVespo runs a guest that uses package vespo on another host.
func TestSDKNeedsVespo(t *testing.T) {
	module := guests.SDK(t, "json")
	h := newHost(t, module)
	status, body := h.get(t, "/items/2")
	require.Equal(t, uint32(200), status)
	require.JSONEq(t, `{"id":2,"name":"wax","cents":300}`, body)

	other := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	wasi_snapshot_preview1.MustInstantiate(t.Context(), other)
	h.instantiate(t, other)
	_, err := other.Instantiate(t.Context(), module)
	require.ErrorContains(t, err, "module[vespo] not instantiated")

	for _, name := range []string{"hello", "echo", "events", "random", "fault"} {
		require.NotContains(t, imports(t, guests.SDK(t, name)), "vespo", name)
	}
	require.Equal(t, []string{"request_fields", "rest"}, imports(t, module)["vespo"], "only what is used is imported")
}

// imports lists the names of imported functions by module.
func imports(t *testing.T, module []byte) map[string][]string {
	t.Helper()
	r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	compiled, err := r.CompileModule(t.Context(), module)
	require.NoError(t, err)
	names := map[string][]string{}
	for _, f := range compiled.ImportedFunctions() {
		module, name, _ := f.Import()
		names[module] = append(names[module], name)
	}
	return names
}

func TestSDKFault(t *testing.T) {
	module := guests.SDK(t, "fault")
	for _, test := range []struct {
		uri    string
		code   uint32
		answer string
		log    string
	}{
		{"/panic", 2, "", "index out of range"},
		{"/late", 2, "part\n", "too late for a 500"},
		{"/abort", 2, "", ""},
		{"/exit", 3, "", ""},
	} {
		h := newHost(t, module)
		e := &exchange{method: "GET", uri: test.uri}
		err := h.serve(t, e)
		var exit *sys.ExitError
		require.ErrorAs(t, err, &exit, test.uri)
		require.Equal(t, test.code, exit.ExitCode(), test.uri)
		require.Equal(t, test.answer, e.answer.String(), test.uri)
		require.Empty(t, e.headers[kindResponse], test.uri)
		if test.log == "" {
			require.Empty(t, h.logMessages, test.uri)
			continue
		}
		require.Len(t, h.logMessages, 1)
		require.Contains(t, h.logMessages[0], test.log)
		require.Contains(t, h.logMessages[0], "main.fail(", "stack")
	}
}

// TestSDKOutOfMemory checks that running out of memory ends the guest: the Go runtime
// cannot continue, even if the handler recovers.
func TestSDKOutOfMemory(t *testing.T) {
	e := &exchange{method: "GET", uri: "/memory"}
	require.ErrorContains(t, newHost(t, guests.SDK(t, "fault")).serve(t, e), "unreachable")
	require.Empty(t, e.answer.String())
}

func TestSDKEvents(t *testing.T) {
	h := newHost(t, guests.SDK(t, "events"))
	status, body := h.get(t, "/?n=2")
	require.Equal(t, uint32(200), status)
	require.Equal(t, "id: 1\ndata: event 1\n\nid: 2\ndata: event 2\n\n", body)
	require.Equal(t, 2, h.writes)
}
