package router

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// sayMatch answers with the match that the handler received.
func sayMatch(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
	_, err := fmt.Fprintf(w, "%s %s %s", r.Method, r.Prefix, r.Rest)
	return err
}

func TestServesAllMethodsBelowThePrefix(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", sayMatch), binding("/test/deep", sayMatch))
	for path, want := range map[string]string{
		"/test":             "/test ",
		"/test/":            "/test /",
		"/test/a%2Fb/%41?q": "/test /a%2Fb/%41",
		"/te%73t/x":         "/test /x",
		"/test//x":          "/test //x",
		"/test/deep/x":      "/test/deep /x",
		"/test/dee%70":      "/test/deep ",
		"/test/deeper":      "/test /deeper",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"} {
			answer, body := h.do(method, path, nil)
			require.Equal(t, http.StatusOK, answer.StatusCode, path)
			require.Equal(t, method+" "+want, string(body))
			rec := h.record()
			require.Equal(t, path, rec.URI)
			require.Equal(t, method, rec.Method)
			require.Equal(t, strings.Fields(want)[0], rec.Prefix)
		}
	}
}

func TestRecordOfARequest(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", func(w http.ResponseWriter, r *Request, res *accesslog.Result) error {
		if _, err := io.Copy(w, io.LimitReader(r.Body, 3)); err != nil {
			return err
		}
		res.Start, res.PeakBytes = accesslog.StartWarm, 65536
		return nil
	}))
	answer, body := h.do("POST", "/test/x?q=1", strings.NewReader("12345"))
	require.Equal(t, "123", string(body))
	rec := h.record()
	require.Regexp(t, "^[0-9a-f]{16}$", rec.RequestID)
	require.Equal(t, []string{rec.RequestID}, answer.Header[RequestIDHeader])
	require.Equal(t, "Go-http-client/1.1", rec.UserAgent)
	require.Equal(t, "HTTP/1.1", rec.Proto)
	require.Equal(t, h.server.Listener.Addr().String(), rec.Host)
	require.Contains(t, rec.Remote, "127.0.0.1:")
	require.Equal(t, "/test/x?q=1", rec.URI)
	require.Equal(t, []any{"service of /test", "v1", uint64(7)}, []any{rec.Service, rec.Version, rec.Generation})
	require.Equal(t, []int64{200, 3, 3}, []int64{int64(rec.Status), rec.BytesIn, rec.BytesOut})
	require.Equal(t, accesslog.OutcomeOK, rec.Outcome)
	require.Equal(t, accesslog.StartWarm, rec.Start)
	require.EqualValues(t, 65536, rec.PeakBytes)
	require.Positive(t, rec.TTFB)
	require.GreaterOrEqual(t, rec.TTLB, rec.TTFB)
	require.NoError(t, rec.Err)
}

func TestRequestIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		seen[newRequestID()] = true
	}
	require.Len(t, seen, 1000)
}

func TestUnknownPathIsNotFound(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", sayMatch))
	for _, path := range []string{"/", "/testing", "/Test", "//test", "/a%2Ftest", "/tes"} {
		answer, body := h.do("GET", path, nil)
		_, rec := h.requireProblem(problem.NotFound, answer, body)
		require.Equal(t, accesslog.OutcomeNotFound, rec.Outcome)
		require.Empty(t, rec.Service)
	}
}

func TestNotReadyBeforeTheFirstTable(t *testing.T) {
	h := newHouse(t, Config{Admin: http.NotFoundHandler()})
	h.Router.table.Store(nil)
	answer, body := h.do("GET", "/test", nil)
	_, rec := h.requireProblem(problem.NotReady, answer, body)
	require.Equal(t, "1", answer.Header.Get("Retry-After"))
	require.Equal(t, accesslog.OutcomeNotReady, rec.Outcome)

	answer, _ = h.do("GET", "/services/ready", nil) // the management API is available before the first table
	require.Equal(t, http.StatusNotFound, answer.StatusCode)
	require.NotEqual(t, problem.ContentType, answer.Header.Get("Content-Type"))
}

func TestPathsThatAreRefused(t *testing.T) {
	admin := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the admin handler was called") })
	h := newHouse(t, Config{Admin: admin, MaxPathBytes: 100}, binding("/", sayMatch))
	for _, path := range []string{"/..", "/.", "/test/../services/add", "/services/../x", "/a/%2e%2e/b", "/a/.%2E", "/%2e",
		"/a/%00", "/%0a", "/%7F/x", "/a/./b"} {
		answer, body := h.do("GET", path, nil)
		_, rec := h.requireProblem(problem.BadRequest, answer, body)
		require.Equal(t, accesslog.OutcomeRefused, rec.Outcome, path)
	}
	for _, path := range []string{"/...", "/a..b", "/.a", "/a/%2e%2e%2e", "/%2e%2f", "/%20"} {
		answer, body := h.do("GET", path, nil)
		require.Equal(t, http.StatusOK, answer.StatusCode, path)
		require.Equal(t, "GET / "+path, string(body))
		h.record()
	}
	answer, body := h.do("GET", "/"+strings.Repeat("x", 100), nil)
	detail, _ := h.requireProblem(problem.URITooLong, answer, body)
	require.Contains(t, detail, "use at most 100")
	answer, _ = h.do("GET", "/"+strings.Repeat("x", 99)+"?"+strings.Repeat("q", 1000), nil)
	require.Equal(t, http.StatusOK, answer.StatusCode)
}

func TestFormsOfRequestTargets(t *testing.T) {
	h := newHouse(t, Config{}, binding("/", sayMatch), binding("/test", sayMatch))
	h.server.Config.DisableGeneralOptionsHandler = true
	const end = " HTTP/1.1\r\nHost: h\r\n\r\n"
	for target, want := range map[string]string{
		"http://other/test/x": "GET /test /x",
		"http://other":        "GET / /",
		"http://other?q":      "GET / /",
		"/test?q#f":           "GET /test ",
		"/test|%2Fx":          "GET / /test|%2Fx", // the encoded slash stays data although another character should have been encoded
		"/test/|%2Fx/\xc3":    "GET /test /|%2Fx/\xc3",
	} {
		answer, body := h.raw("GET", "GET "+target+end)
		require.Equal(t, http.StatusOK, answer.StatusCode, target)
		require.Equal(t, want, body)
		require.Equal(t, target, h.record().URI)
	}

	answer, _ := h.raw("OPTIONS", "OPTIONS *"+end)
	require.Equal(t, http.StatusNoContent, answer.StatusCode)
	require.Equal(t, "*", h.record().URI)

	answer, _ = h.raw("GET", "GET *"+end)
	require.Equal(t, http.StatusNotFound, answer.StatusCode)
	h.record()

	for _, target := range []string{"other:443", "/test"} {
		answer, body := h.raw("CONNECT", "CONNECT "+target+end)
		h.requireProblem(problem.NotImplemented, answer, []byte(body))
	}
}

func TestPathOfARewrittenRequest(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", sayMatch))
	h.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.Path = "/test/a b" // RawPath is unchanged
		h.ServeHTTP(w, r)
	}))
	_, body := h.do("GET", "/other%2Fpath", nil)
	require.Equal(t, "GET /test /a%20b", string(body))
	require.Equal(t, "/other%2Fpath", h.record().URI)
}

func TestReservedPrefixGoesToAdmin(t *testing.T) {
	admin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "admin "+r.URL.Path) })
	h := newHouse(t, Config{Admin: admin}, binding("/", sayMatch))
	for path, want := range map[string]string{
		"/services":               "admin /services",
		"/services/":              "admin /services/",
		"/services/add?prefix=a":  "admin /services/add",
		"/%73ervice%73/add":       "admin /services/add",
		"/servicesx":              "GET / /servicesx",
		"/Services/add":           "GET / /Services/add",
		"/services%2Fadd":         "GET / /services%2Fadd",
		"//services/add":          "GET / //services/add",
		"/x/services":             "GET / /x/services",
		"/%73%65%72%76%69%63%65s": "admin /services",
	} {
		_, body := h.do("GET", path, nil)
		require.Equal(t, want, string(body))
		rec := h.record()
		require.Equal(t, strings.HasPrefix(want, "admin"), rec.Service == routekey.ReservedSegment, path)
	}
}

// adminWithResult implements both kinds of handler.
type adminWithResult struct{ HandlerFunc }

func (adminWithResult) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusTeapot)
}

func TestAdminThatIsAHandler(t *testing.T) {
	h := newHouse(t, Config{Admin: adminWithResult{func(http.ResponseWriter, *Request, *accesslog.Result) error {
		return problem.New(problem.Conflict, "busy")
	}}})
	answer, body := h.do("POST", "/services/add", nil)
	detail, rec := h.requireProblem(problem.Conflict, answer, body)
	require.Equal(t, "busy", detail)
	require.Equal(t, accesslog.OutcomeRefused, rec.Outcome)
}

func TestWithoutAdminTheReservedPrefixIsNotFound(t *testing.T) {
	h := newHouse(t, Config{}, binding("/", sayMatch))
	answer, body := h.do("GET", "/services/list", nil)
	_, rec := h.requireProblem(problem.NotFound, answer, body)
	require.Equal(t, routekey.ReservedSegment, rec.Service)
}

func TestConfigWithoutAccessLog(t *testing.T) {
	h := newHouse(t, Config{}, binding("/test", sayMatch))
	quiet := New(Config{})
	quiet.Publish(h.Table())
	h.serve(quiet)
	answer, _ := h.do("GET", "/test", nil)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	require.NotEmpty(t, answer.Header.Get(RequestIDHeader))
	require.Empty(t, h.records)
}
