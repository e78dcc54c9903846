package router

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

// mayIf permits reports with the token "right".
func mayIf(_ *Request, _ routekey.Key, tokens []string) error {
	if slices.Equal(tokens, []string{"right"}) {
		return nil
	}
	return problem.New(problem.Forbidden, "no")
}

// reported is a response whose body has been read.
type reported struct {
	*http.Response
	body string
	err  error // of the body
}

// report returns the member of a report in the trailer, as text.
func (a reported) member(t *testing.T, name string) string {
	t.Helper()
	return memberOf(t, a.Trailer, name)
}

func memberOf(t *testing.T, h http.Header, name string) string {
	t.Helper()
	require.Len(t, h["Vespo-Report"], 1, h)
	found := regexp.MustCompile(`(?:^|, )` + name + `=("[^"]*"|[^,]*)`).FindStringSubmatch(h.Get("Vespo-Report"))
	require.NotNil(t, found, "%s in %s", name, h.Get("Vespo-Report"))
	return strings.Trim(found[1], `"`)
}

// ask sends a request that asks for a report, over the transport.
func (h *house) ask(transport http.RoundTripper, method, path string, header http.Header) reported {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.server.URL+path, nil)
	require.NoError(h.t, err)
	r.Header = http.Header{"Vespo-Report": {"1"}, "Vespo-Token": {"right"}}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := transport.RoundTrip(r)
	require.NoError(h.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return reported{answer, string(body), err}
}

// reporters are handlers, and what their reports are.
var reporters = map[string]struct {
	serve   HandlerFunc
	status  int
	outcome accesslog.Outcome
	trailer http.Header // of the handler
	header  bool        // the report is in the header
}{
	"nothing": {
		serve:   func(http.ResponseWriter, *Request, *accesslog.Result) error { return nil },
		status:  200,
		outcome: accesslog.OutcomeOK,
	},
	"length": {
		serve: func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
			w.Header().Set("Content-Length", "4")
			_, err := io.WriteString(w, "body")
			if r.ProtoMajor == 2 || r.Method == http.MethodHead {
				return err
			}
			if _, more := w.Write([]byte("x")); !errors.Is(more, http.ErrContentLength) {
				return more
			}
			return err
		},
		status:  200,
		outcome: accesslog.OutcomeOK,
	},
	"read from": {
		serve: func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			w.Header().Set("Content-Length", "4")
			_, err := w.(io.ReaderFrom).ReadFrom(strings.NewReader("body"))
			return err
		},
		status:  200,
		outcome: accesslog.OutcomeOK,
	},
	"stream with trailers": {
		serve: func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			w.Header().Set("Trailer", "X-Own, Vespo-Report")
			w.Header().Set("Vespo-Report", "forged in the header")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Set("Vespo-Report", "forged in the header")
			for range 3 {
				_, _ = io.WriteString(w, "part")
				_ = http.NewResponseController(w).Flush()
			}
			w.Header().Set("X-Own", "v")
			w.Header().Set(http.TrailerPrefix+"X-More", "v")
			w.Header().Set("Vespo-Report", "forged in the trailer")
			w.Header().Set(http.TrailerPrefix+"Vespo-Report", "forged, too")
			return nil
		},
		status:  200,
		outcome: accesslog.OutcomeOK,
		trailer: http.Header{"X-Own": {"v"}, "X-More": {"v"}},
	},
	"trap": {
		serve: func(w http.ResponseWriter, _ *Request, res *accesslog.Result) error {
			w.Header().Set("Trailer", "X-Own")
			res.Outcome, res.Work = accesslog.OutcomeTrap, 7
			return problem.New(problem.Trap, "unreachable")
		},
		status:  500,
		outcome: accesslog.OutcomeTrap,
	},
	"panic": {
		serve:   func(http.ResponseWriter, *Request, *accesslog.Result) error { panic("host") },
		status:  500,
		outcome: accesslog.OutcomeHostError,
	},
	"no content": {
		serve: func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			w.Header().Set("Etag", `"1"`)
			w.WriteHeader(http.StatusNoContent)
			w.Header().Set("Etag", `"2"`)
			if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
				return errors.New("a body")
			}
			return http.NewResponseController(w).Flush()
		},
		status:  204,
		outcome: accesslog.OutcomeOK,
		header:  true,
	},
	"not modified": {
		serve: func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			w.WriteHeader(http.StatusNotModified)
			return nil
		},
		status:  304,
		outcome: accesslog.OutcomeOK,
		header:  true,
	},
}

// TestReports sends two requests over one connection, in HTTP/1.1 and HTTP/2: one asks for a report, the next one does not.
func TestReports(t *testing.T) {
	for name, c := range reporters {
		for _, two := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				h := newHouse(t, Config{MayReport: mayIf, WorkUnit: 1}, binding("/a", func(w http.ResponseWriter, r *Request, res *accesslog.Result) error {
					for field := range r.Header {
						if strings.HasPrefix(strings.ToLower(field), "vespo") {
							return problem.New(problem.BadRequest, field)
						}
					}
					return c.serve(w, r, res)
				}))
				server := httptest.NewUnstartedServer(h.Router)
				server.Config.Protocols = new(http.Protocols)
				server.Config.Protocols.SetHTTP1(true)
				server.Config.Protocols.SetUnencryptedHTTP2(true)
				server.Start()
				defer server.Close()
				h.server.URL = server.URL
				transport := &http.Transport{Protocols: new(http.Protocols), DisableCompression: true, MaxConnsPerHost: 1}
				transport.Protocols.SetHTTP1(!two)
				transport.Protocols.SetUnencryptedHTTP2(two)
				defer transport.CloseIdleConnections()

				for range 2 {
					a := h.ask(transport, http.MethodGet, "/a", nil)
					rec := h.record()
					require.NoError(t, a.err)
					require.Equal(t, c.status, a.StatusCode, a.body)
					at := a.Trailer
					if c.header {
						at = a.Header
					} else {
						require.Empty(t, a.Header["Vespo-Report"])
					}
					require.Equal(t, string(c.outcome), memberOf(t, at, "outcome"))
					require.Equal(t, rec.RequestID, memberOf(t, at, "request_id"))
					require.Equal(t, string(accesslog.AppendReport(nil, &rec, 1)), at.Get("Vespo-Report"))
					for field, values := range c.trailer {
						require.Equal(t, values, a.Trailer[field])
					}

					plain := h.ask(transport, http.MethodGet, "/a", http.Header{"Vespo-Report": nil})
					h.record()
					require.Equal(t, c.status, plain.StatusCode)
					require.Equal(t, len(plain.body), len(a.body))
					require.Empty(t, plain.Header["Vespo-Report"])
					require.Empty(t, plain.Trailer["Vespo-Report"])
					require.Equal(t, len(c.trailer), len(plain.Trailer))
				}
				if c.status < 300 {
					a := h.ask(transport, http.MethodHead, "/a", nil)
					require.Equal(t, c.status, a.StatusCode)
					require.Equal(t, string(c.outcome), memberOf(t, a.Header, "outcome"))
				}
			})
		}
	}
}

// TestReportsOfBrokenResponses checks that a response without its end is not taken for a whole one.
func TestReportsOfBrokenResponses(t *testing.T) {
	h := newHouse(t, Config{MayReport: mayIf}, binding("/short", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		w.Header().Set("Content-Length", "5")
		_, err := io.WriteString(w, "part")
		return errors.Join(err, http.NewResponseController(w).Flush())
	}), binding("/late", func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
		_, err := io.WriteString(w, "part")
		return errors.Join(err, http.NewResponseController(w).Flush(), problem.New(problem.Deadline, "late"))
	}))
	for path, outcome := range map[string]accesslog.Outcome{"/short": accesslog.OutcomeAborted, "/late": accesslog.OutcomeDeadline} {
		a := h.ask(h.server.Client().Transport, http.MethodGet, path, nil)
		require.ErrorIs(t, a.err, io.ErrUnexpectedEOF)
		require.Empty(t, a.Trailer.Get("Vespo-Report"))
		require.Equal(t, outcome, h.record().Outcome)
	}
}

func TestReportsAreRefused(t *testing.T) {
	called := false
	handler := binding("/a", func(http.ResponseWriter, *Request, *accesslog.Result) error { called = true; return nil })
	h := newHouse(t, Config{MayReport: mayIf}, handler)
	transport := h.server.Client().Transport
	for name, c := range map[string]struct {
		header http.Header
		kind   problem.Kind
	}{
		"no token":    {http.Header{"Vespo-Token": nil}, problem.Forbidden},
		"wrong token": {http.Header{"Vespo-Token": {"wrong"}}, problem.Forbidden},
		"two tokens":  {http.Header{"Vespo-Token": {"right", "wrong"}}, problem.Forbidden},
		"value":       {http.Header{"Vespo-Report": {"yes"}}, problem.BadRequest},
		"twice":       {http.Header{"Vespo-Report": {"1", "1"}}, problem.BadRequest},
	} {
		a := h.ask(transport, http.MethodGet, "/a", c.header)
		h.requireProblem(c.kind, a.Response, []byte(a.body))
		require.Empty(t, a.Trailer, name)
		require.False(t, called, name)
	}
	a := h.ask(transport, http.MethodGet, "/none", nil)
	h.requireProblem(problem.NotFound, a.Response, []byte(a.body))
	require.Empty(t, a.Trailer)

	h = newHouse(t, Config{}, handler)
	a = h.ask(h.server.Client().Transport, http.MethodGet, "/a", nil)
	h.requireProblem(problem.Forbidden, a.Response, []byte(a.body))
}

// TestReportsOfShedRequests fills a service, so that the next request is shed.
func TestReportsOfShedRequests(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	b := binding("/a", func(http.ResponseWriter, *Request, *accesslog.Result) error {
		close(begun)
		<-release
		return nil
	})
	b.Limiter = admission.NewGate(1).NewLimiter(admission.Limits{})
	h := newHouse(t, Config{MayReport: mayIf}, b)
	first := make(chan reported)
	go func() { first <- h.ask(h.server.Client().Transport, http.MethodGet, "/a", nil) }()
	<-begun
	a := h.ask(h.server.Client().Transport, http.MethodGet, "/a", nil)
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	require.Equal(t, string(accesslog.OutcomeNoCapacity), a.member(t, "outcome"))
	close(release)
	require.Equal(t, "ok", (<-first).member(t, "outcome"))
}

// TestReportsByHand checks what is on the wire: HTTP/1.1, and HTTP/1.0, which has no trailers.
func TestReportsByHand(t *testing.T) {
	h := newHouse(t, Config{MayReport: mayIf}, binding("/a", say("hello")))
	for _, version := range []string{"1.1", "1.0"} {
		conn, err := net.Dial("tcp", h.server.Listener.Addr().String())
		require.NoError(t, err)
		_, err = io.WriteString(conn, "GET /a HTTP/"+version+"\r\nHost: a\r\nConnection: close\r\nVespo-Report: 1\r\nVespo-Token: right\r\n\r\n")
		require.NoError(t, err)
		all, err := io.ReadAll(bufio.NewReader(conn))
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		if version == "1.0" {
			require.True(t, strings.HasSuffix(string(all), "\r\n\r\nhello"), "%s", all)
			require.NotContains(t, string(all), "Vespo-Report")
			continue
		}
		require.Contains(t, string(all), "\r\nTrailer: Vespo-Report\r\n")
		require.Regexp(t, `\r\n\r\n5\r\nhello\r\n0\r\nVespo-Report: outcome="ok", [^\r]*\r\n\r\n$`, string(all))
	}
}

// TestServicesGetNoReports checks that requests between services neither carry the fields nor are answered with a report.
func TestServicesGetNoReports(t *testing.T) {
	h := newHouse(t, Config{MayReport: mayIf}, binding("/a", func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
		w.Header().Set("Vespo-Report", "forged")
		if len(r.Header) != 1 { // the request id
			return problem.Newf(problem.BadRequest, "%v", r.Header)
		}
		_, err := io.WriteString(w, "hello")
		return err
	}))
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	r.Header = http.Header{"Vespo-Report": {"1"}, "Vespo-Token": {"right"}, "Vespo_report": {"1"}}
	require.NoError(t, h.Dispatch("/a", w, r, nil))
	require.Empty(t, w.Result().Header["Vespo-Report"])
	require.Empty(t, w.Result().Trailer)
}
