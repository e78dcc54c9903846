package wasm_test

import (
	"cmp"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
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

// serveBehind sends one request for /a/b to a function behind middleware of these modules. It returns the response and
// the access record.
func serveBehind(t *testing.T, last router.HandlerFunc, r behind) (servicetest.Answer, accesslog.Record) {
	t.Helper()
	s := newServerWith(t, wasm.Config{Slots: 4}, servicetest.Handlers{"last": last})
	s.Deploy(servicetest.Handler("/a", "last",
		servicetest.WithTimeout(time.Second), servicetest.WithMiddleware(nil, r.modules...)))
	a := s.do(cmp.Or(r.method, "GET"), "/a/b", r.body, r.headers...)
	return a, s.Records.Nth(1)
}

// behind is a request and the middleware in its way.
type behind struct {
	method, body string
	headers      []string
	modules      [][]byte
}

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
	a, rec := serveBehind(t, greet, behind{method: "POST", body: "you", modules: [][]byte{pass, pass}})
	require.NoError(t, rec.Err)
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Equal(t, "hello you", a.Body)
	require.Equal(t, "/b", a.Header.Get("X-Rest"))
	require.EqualValues(t, 2*64<<10, rec.PeakBytes, "both guests are counted")
}

func TestMiddlewareAnswersInstead(t *testing.T) {
	passedOn := func(http.ResponseWriter, *router.Request, *accesslog.Result) error {
		t.Error("it was passed on")
		return nil
	}
	a, rec := serveBehind(t, passedOn, behind{modules: [][]byte{layerModule(answerCode, nothingCode)}})
	require.NoError(t, rec.Err)
	require.Equal(t, http.StatusOK, a.StatusCode)
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
			a, rec := serveBehind(t, c.last, behind{modules: c.modules})
			require.ErrorContains(t, rec.Err, c.text)
			require.Equal(t, c.kind, problem.From(rec.Err).Kind())
			a.RequireProblem(t, c.kind)
			require.NotContains(t, a.Body, "hello", "nothing of the answer was sent")
			require.Empty(t, a.Header.Get("X-Rest"))
		})
	}
}

func TestNoUpgradeThroughMiddleware(t *testing.T) {
	a, _ := serveBehind(t, greet, behind{
		headers: []string{"Connection: Upgrade", "Upgrade: websocket"},
		modules: [][]byte{layerModule(passOnCode, nothingCode)},
	})
	a.RequireProblem(t, problem.NotImplemented)
}

func TestCGIIsNoMiddleware(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 1})
	err := s.kind.ValidateMiddleware(module("/a", guests.Wat(t, "cat")))
	require.Contains(t, problem.From(err).Violations[0].String(), "cannot pass a request on")
}

// Early hints have the fields of the service but no defaults of the middleware. They
// must not remove defaults from the response.
func TestInformationalAnswersComeThroughAChain(t *testing.T) {
	hint := func(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
		return nil // an empty response
	}
	s := newServerWith(t, wasm.Config{Slots: 2}, servicetest.Handlers{"hint": hint})
	s.Deploy(servicetest.Handler("/hints", "hint", servicetest.WithMiddleware(nil, guests.Wat(t, "preset"))))
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
func (s *server) chain(key string, m []byte) {
	s.tb.Helper()
	pass := layerModule(passOnCode, nothingCode)
	s.add(key, m, servicetest.WithMiddleware(nil, pass, pass))
}

// TestAnswersComeThroughAChain sends requests through two guests to a third: large
// bodies in both directions, trailers, and responses without a body.
func TestAnswersComeThroughAChain(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 3})
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
	s := newServer(t, wasm.Config{Slots: 6})
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
	const timeout, part, parts = 200 * time.Millisecond, 100 << 10, 3
	slow := func(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
		for range parts {
			if _, err := w.Write(make([]byte, part)); err != nil {
				return err
			}
			<-time.After(timeout)
		}
		return nil
	}
	s := newServerWith(t, wasm.Config{Slots: 4}, servicetest.Handlers{"slow": slow})
	s.Deploy(servicetest.Handler("/a", "slow",
		servicetest.WithTimeout(timeout), servicetest.WithMiddleware(nil, layerModule(passOnCode, nothingCode))))
	a := s.get("/a")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Len(t, a.Body, parts*part)
}
