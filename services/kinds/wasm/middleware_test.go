package wasm

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/middleware"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// Function bodies: locals, code, end.
var (
	passOnCode  = []byte{0x00, 0x42, 0x01, 0x0b}                                     // i64.const 1
	answerCode  = []byte{0x00, 0x42, 0x00, 0x0b}                                     // i64.const 0
	trapCode    = []byte{0x00, 0x00, 0x0b}                                           // unreachable
	loopCode    = []byte{0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x00, 0x0b}             // loop br 0 end unreachable
	growCode    = []byte{0x00, 0x41, 0x90, 0xce, 0x00, 0x40, 0x00, 0x1a, 0x00, 0x0b} // memory.grow 10000, unreachable
	nothingCode = []byte{0x00, 0x0b}
)

// layerModule returns an http-wasm module with these bodies of handle_request and handle_response.
func layerModule(request, response []byte) []byte {
	section := func(id byte, content []byte) []byte { return append([]byte{id, byte(len(content))}, content...) }
	export := func(name string, kind, index byte) []byte {
		return append(append([]byte{byte(len(name))}, name...), kind, index)
	}
	m := []byte("\x00asm\x01\x00\x00\x00")
	m = append(m, section(1, []byte{2, 0x60, 0, 1, 0x7e, 0x60, 2, 0x7f, 0x7f, 0})...)
	m = append(m, section(3, []byte{2, 0, 1})...)
	m = append(m, section(5, []byte{1, 0, 1})...)
	exports := append([]byte{3}, export("memory", 2, 0)...)
	exports = append(append(exports, export("handle_request", 0, 0)...), export("handle_response", 0, 1)...)
	m = append(m, section(7, exports)...)
	code := append([]byte{2, byte(len(request))}, request...)
	code = append(append(code, byte(len(response))), response...)
	return append(m, section(10, code)...)
}

// serveBehind serves one request by a handler behind middleware of these modules.
func serveBehind(t *testing.T, last router.HandlerFunc, r *http.Request, modules ...[]byte) (*httptest.ResponseRecorder, *accesslog.Result, error) {
	t.Helper()
	s := newServer(t, Config{Slots: 4})
	var layers []services.Middleware
	for _, m := range modules {
		layer, err := s.kind.PrepareMiddleware(context.Background(), specOf("/a", m, registry.Options{Timeout: 300 * time.Millisecond}))
		require.NoError(t, err)
		layers = append(layers, layer)
	}
	c := middleware.New(layers, handled{last})
	defer func() { require.NoError(t, c.Close(context.Background())) }()
	w, res := httptest.NewRecorder(), &accesslog.Result{}
	return w, res, c.Serve(w, requestAt("/a", "/b", r), res)
}

// requestAt returns the request of a router that has matched prefix and rest.
func requestAt(prefix, rest string, r *http.Request) *router.Request {
	now := time.Now()
	return &router.Request{Request: r, Prefix: prefix, Rest: rest, Arrived: now, Admitted: now}
}

// handled is a deployment that runs a handler function.
type handled struct{ router.HandlerFunc }

func (handled) Status() services.Status                     { return services.Status{} }
func (handled) Scale(context.Context, services.Scale) error { return nil }
func (handled) Close(context.Context) error                 { return nil }

func greet(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	w.Header().Set("X-Rest", r.Rest)
	w.WriteHeader(http.StatusAccepted)
	_, err = io.WriteString(w, "hello "+string(body))
	return err
}

func TestRequestsArePassedOn(t *testing.T) {
	pass := layerModule(passOnCode, nothingCode)
	w, rec, err := serveBehind(t, greet, httptest.NewRequest("POST", "/a/b", strings.NewReader("you")), pass, pass)
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Equal(t, "hello you", w.Body.String())
	require.Equal(t, "/b", w.Header().Get("X-Rest"))
	require.EqualValues(t, 2*64<<10, rec.PeakBytes, "both guests are counted")
}

func TestMiddlewareAnswersInstead(t *testing.T) {
	w, _, err := serveBehind(t, func(http.ResponseWriter, *router.Request, *accesslog.Result) error {
		require.Fail(t, "it was passed on")
		return nil
	}, httptest.NewRequest("GET", "/a/b", nil), layerModule(answerCode, nothingCode))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, w.Code)
}

func TestFailuresInAChain(t *testing.T) {
	pass := layerModule(passOnCode, nothingCode)
	for name, c := range map[string]struct {
		modules [][]byte
		last    router.HandlerFunc
		kind    problem.Kind
		text    string
	}{
		"trap":                 {[][]byte{pass, layerModule(trapCode, nothingCode)}, greet, problem.Trap, "middleware 2"},
		"trap on the way back": {[][]byte{layerModule(passOnCode, trapCode)}, greet, problem.Trap, "middleware 1"},
		"out of memory":        {[][]byte{layerModule(growCode, nothingCode), pass}, greet, problem.OutOfMemory, "middleware 1"},
		"endless":              {[][]byte{layerModule(loopCode, nothingCode), pass}, greet, problem.Deadline, "middleware 1"},
		"behind": {[][]byte{pass, pass}, func(http.ResponseWriter, *router.Request, *accesslog.Result) error {
			return problem.New(problem.BadGateway, "the upstream is gone")
		}, problem.BadGateway, "the upstream is gone"},
		"panic behind": {[][]byte{pass}, func(http.ResponseWriter, *router.Request, *accesslog.Result) error { panic("oh") }, problem.Internal, "panic"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _, err := serveBehind(t, c.last, httptest.NewRequest("GET", "/a/b", nil), c.modules...)
			require.ErrorContains(t, err, c.text)
			require.Equal(t, c.kind, problem.From(err).Kind())
			require.Empty(t, w.Body.String(), "nothing of the answer was sent")
		})
	}
}

func TestNoUpgradeThroughMiddleware(t *testing.T) {
	r := httptest.NewRequest("GET", "/a/b", nil)
	r.Header.Set("Upgrade", "websocket")
	_, _, err := serveBehind(t, greet, r, layerModule(passOnCode, nothingCode))
	require.Equal(t, problem.NotImplemented, problem.From(err).Kind())
}

func TestCGIIsNoMiddleware(t *testing.T) {
	s := newServer(t, Config{Slots: 1})
	err := s.kind.ValidateMiddleware(specOf("/a", guests.Wat(t, "cat"), registry.Options{}))
	require.Contains(t, problem.From(err).Violations[0], "cannot pass a request on")
}

// Early hints have the fields of the service but no defaults of the middleware. They
// must not remove defaults from the response.
func TestInformationalAnswersComeThroughAChain(t *testing.T) {
	s := newServer(t, Config{Slots: 2})
	layer, err := s.kind.PrepareMiddleware(t.Context(), specOf("/hints", guests.Wat(t, "preset"), registry.Options{}))
	require.NoError(t, err)
	s.serve("/hints", middleware.New([]services.Middleware{layer}, handled{func(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
		return nil // an empty response
	}}))
	var hints []textproto.MIMEHeader
	trace := &httptrace.ClientTrace{Got1xxResponse: func(_ int, h textproto.MIMEHeader) error { hints = append(hints, h); return nil }}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", s.URL+"/hints", nil)
	require.NoError(t, err)
	r.Header.Set("Before-Name", "x-default")
	r.Header.Set("Before-Value", "mine")
	res, err := s.Client().Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, []textproto.MIMEHeader{{"Link": {"</a.css>; rel=preload"}}}, hints)
	require.Equal(t, []string{"mine"}, res.Header["X-Default"])
	require.Empty(t, res.Header["Link"])
}

// chain deploys a module behind two middlewares that pass all requests on.
func (s *server) chain(prefix string, module []byte) {
	s.tb.Helper()
	var layers []services.Middleware
	for range 2 {
		layer, err := s.kind.PrepareMiddleware(context.Background(), specOf(prefix, layerModule(passOnCode, nothingCode), registry.Options{}))
		require.NoError(s.tb, err)
		layers = append(layers, layer)
	}
	d, err := s.prepare(prefix, module, registry.Options{})
	require.NoError(s.tb, err)
	s.serve(prefix, middleware.New(layers, d))
}

// TestAnswersComeThroughAChain sends requests through two guests to a third: large
// bodies in both directions, trailers, and responses without a body.
func TestAnswersComeThroughAChain(t *testing.T) {
	s := newServer(t, Config{Slots: 3})
	s.chain("/echo", guests.SDK(t, "echo"))
	body := strings.Repeat("0123456789abcdef", 5<<16) // 5 MiB
	for _, length := range []int64{int64(len(body)), -1} {
		r, err := http.NewRequest("POST", s.URL+"/echo", strings.NewReader(body))
		require.NoError(t, err)
		r.ContentLength = length
		res, err := s.Client().Do(r)
		require.NoError(t, err)
		got, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.True(t, body == string(got), "%d bytes came back", len(got))
		require.Equal(t, []string{"5242880"}, res.Trailer.Values("X-Body-Bytes"))
	}
	res, err := s.Client().Head(s.URL + "/echo")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, http.StatusOK, res.StatusCode)
}

// TestIsolationThroughAChain searches for secrets of the previous request, behind two guests.
func TestIsolationThroughAChain(t *testing.T) {
	s := newServer(t, Config{Slots: 6})
	s.chain("/secret", guests.Wat(t, "secret"))
	for letter, want := range endings {
		if letter == 'L' { // waits for the deadline
			continue
		}
		res, err := s.Client().Post(s.URL+"/secret", "text/plain", strings.NewReader(string(letter)+"0123456789abcdef"))
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, want, res.StatusCode, "ending %c", letter)
		status, found := scan(t, s)
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "clean\n", found, "ending %c", letter)
	}
}

// A handler behind middleware has its own time: the middleware's deadline must not end its writes.
func TestAnswersBehindHaveTheirOwnTime(t *testing.T) {
	s := newServer(t, Config{Slots: 4})
	const timeout, part, parts = 200 * time.Millisecond, 100 << 10, 3
	layer, err := s.kind.PrepareMiddleware(t.Context(), specOf("/a", layerModule(passOnCode, nothingCode), registry.Options{Timeout: timeout}))
	require.NoError(t, err)
	s.serve("/a", middleware.New([]services.Middleware{layer}, handled{func(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
		for range parts {
			if _, err := w.Write(make([]byte, part)); err != nil {
				return err
			}
			<-time.After(timeout)
		}
		return nil
	}}))
	a := s.get("/a")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Len(t, a.body, parts*part)
}
