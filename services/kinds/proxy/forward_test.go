package proxy_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
)

// seen is a request as received by an upstream.
type seen struct {
	*http.Request
	body string
}

// watched starts an upstream that answers "ok" and sends the requests it receives to the channel.
func watched(t *testing.T) (string, <-chan seen) {
	t.Helper()
	requests := make(chan seen, 10)
	s := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		requests <- seen{r, string(body)}
		fmt.Fprint(w, "ok")
	})
	return s.URL, requests
}

func TestRequestPasses(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up, requests := watched(t)
	f.to("/api", up)
	a := f.Do(f.Request("PATCH", "/api/a%2Fb//c?x=1;y&z=%zz", strings.NewReader("what I say"), "X-Mine: 1", "X-Mine: 2", "Te: trailers",
		"Connection: X-Hop", "X-Hop: gone", "Keep-Alive: 5", "Proxy-Authorization: secret", "Accept-Encoding: br"))
	require.Equal(t, http.StatusOK, a.StatusCode, a.Body)
	require.Equal(t, "ok", a.Body)
	got := <-requests
	require.Equal(t, "PATCH", got.Method)
	require.Equal(t, "/a%2Fb//c?x=1;y&z=%zz", got.RequestURI)
	require.Equal(t, "what I say", got.body)
	require.EqualValues(t, 10, got.ContentLength)
	require.Equal(t, strings.TrimPrefix(up, "http://"), got.Host)
	require.Equal(t, []string{"1", "2"}, got.Header["X-Mine"])
	require.Equal(t, "trailers", got.Header.Get("Te"))
	require.Equal(t, "br", got.Header.Get("Accept-Encoding"))
	for _, hop := range []string{"X-Hop", "Keep-Alive", "Proxy-Authorization", "Connection"} {
		require.Empty(t, got.Header.Values(hop), hop)
	}
	rec := f.Records.Nth(1)
	require.Equal(t, accesslog.OutcomeOK, rec.Outcome)
	require.Empty(t, rec.Start)
	require.EqualValues(t, 10, rec.BytesIn)
	require.EqualValues(t, 2, rec.BytesOut)
}

func TestHeadersThatAreNotThereStayAway(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up, requests := watched(t)
	f.to("/", up)
	require.Equal(t, http.StatusOK, f.Get("/", "User-Agent: ").StatusCode)
	got := <-requests
	for _, name := range []string{"User-Agent", "Accept-Encoding", "Te", "Upgrade", "Content-Length", "Transfer-Encoding", "X-Forwarded-Prefix"} {
		require.Empty(t, got.Header.Get(name), name)
	}
	require.Zero(t, got.ContentLength)
}

func TestPrefixAndHost(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up, requests := watched(t)
	own := strings.TrimPrefix(up, "http://")
	f.bind("/strip", proxy.Document{Upstreams: []string{up}})
	f.bind("/keep/it", proxy.Document{Upstreams: []string{up}, KeepPrefix: true, Host: proxy.HostClient})
	f.bind("/below", proxy.Document{Upstreams: []string{up + "/v1/"}, Host: proxy.HostUpstream})
	f.bind("/", proxy.Document{Upstreams: []string{up + "/all"}, KeepPrefix: true})
	for path, want := range map[string]struct{ uri, host, prefix string }{
		"/strip":          {"/", own, "/strip"},
		"/strip/":         {"/", own, "/strip"},
		"/strip/a?b":      {"/a?b", own, "/strip"},
		"/keep/it":        {"/keep/it", "example.com:1", ""},
		"/%6beep/it/%2F?": {"/keep/it/%2F?", "example.com:1", ""},
		"/below":          {"/v1", own, "/below"},
		"/below/x":        {"/v1/x", own, "/below"},
		"/other//x":       {"/all/other//x", own, ""},
	} {
		require.Equal(t, http.StatusOK, f.Get(path, "Host: example.com:1", "X-Forwarded-Prefix: /admin").StatusCode)
		got := <-requests
		require.Equal(t, want.uri, got.RequestURI, path)
		require.Equal(t, want.host, got.Host, path)
		require.Equal(t, want.prefix, got.Header.Get("X-Forwarded-Prefix"), path)
		require.Equal(t, "example.com:1", got.Header.Get("X-Forwarded-Host"), path)
	}
}

func TestClientIsNotBelieved(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up, requests := watched(t)
	f.to("/api", up)
	a := f.Get("/api", "X-Forwarded-For: 1.2.3.4", "x-forwarded-proto: https", "X-Forwarded-Host: evil", "X-Forwarded-Port: 1",
		"X_Forwarded_For: 1.2.3.4", "x-forwarded_user: root", "Forwarded: for=1.2.3.4", "X-Real-IP: 1.2.3.4", "X_real_ip: 1.2.3.4",
		"X-Request-Id: mine", "Via: 1.0 fred")
	got := <-requests
	for name, values := range got.Header {
		require.NotContains(t, strings.Join(values, ","), "1.2.3.4", name)
	}
	require.Equal(t, []string{"127.0.0.1"}, got.Header.Values("X-Forwarded-For"))
	require.Equal(t, []string{"http"}, got.Header.Values("X-Forwarded-Proto"))
	require.Equal(t, []string{strings.TrimPrefix(f.URL, "http://")}, got.Header.Values("X-Forwarded-Host"))
	require.Equal(t, []string{"1.0 fred", "1.1 vespo"}, got.Header.Values("Via"))
	require.Empty(t, got.Header.Values("X-Forwarded-Port"))
	require.Empty(t, got.Header["X-Forwarded_user"])
	require.Equal(t, []string{a.Header.Get(router.RequestIDHeader)}, got.Header.Values(router.RequestIDHeader))
	require.Len(t, got.Header.Get(router.RequestIDHeader), 16)
}

func TestHeaderRules(t *testing.T) {
	f := newFront(t, proxy.Config{})
	requests := make(chan http.Header, 1)
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Header
		w.Header().Set("Server", "secret 1.0")
		w.Header().Add("X-Both", "theirs")
		w.WriteHeader(http.StatusCreated)
	})
	f.bind("/", proxy.Document{Upstreams: []string{up.URL},
		RequestHeaders:  []string{"Authorization: Bearer inside", "Cookie:", "X-Two: 1", "X-Two: 2"},
		ResponseHeaders: []string{"Server:", "X-Both: ours", "Strict-Transport-Security: max-age=1"}})
	a := f.Get("/", "Authorization: mine", "Cookie: a=b", "X-Two: 3")
	got := <-requests
	require.Equal(t, []string{"Bearer inside"}, got["Authorization"])
	require.Equal(t, []string{"1", "2"}, got["X-Two"])
	require.Empty(t, got["Cookie"])
	require.Empty(t, a.Header["Server"])
	require.Equal(t, []string{"ours"}, a.Header["X-Both"])
	require.Equal(t, "max-age=1", a.Header.Get("Strict-Transport-Security"))
}

// TestAnswerPasses sends a response that net/http would not write. Only its hop-by-hop fields may change.
func TestAnswerPasses(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveRaw(t, func(conn net.Conn, from *bufio.Reader) {
		readHeader(from)
		fmt.Fprint(conn, "HTTP/1.1 299 Odd\r\nConnection: X-Hop\r\nX-Hop: gone\r\nKeep-Alive: 5\r\nX-Request-Id: theirs\r\n"+
			"X-Lower: 1\r\nX-Lower: 2\r\nLocation: http://"+conn.LocalAddr().String()+"/in\r\nContent-Length: 6\r\n\r\n<html>")
	})
	f.to("/api", up)
	a := f.Get("/api")
	require.Equal(t, 299, a.StatusCode)
	require.Equal(t, "<html>", a.Body)
	require.Equal(t, []string{"1", "2"}, a.Header["X-Lower"])
	require.Equal(t, "/api/in", a.Header.Get("Location"))
	require.Empty(t, a.Header["X-Hop"])
	require.Empty(t, a.Header["Keep-Alive"])
	require.Empty(t, a.Header["Content-Type"], "none is guessed")
	require.Len(t, a.Header.Get(router.RequestIDHeader), 16)
}

func TestTrailersPassBothWays(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprint(w, string(body))
		w.Header().Set("X-Sum", r.Trailer.Get("X-Mine"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "late")
	})
	f.to("/", up.URL)
	r := f.Request("POST", "/", io.MultiReader(strings.NewReader("body")))
	r.Trailer = http.Header{"X-Mine": {"sum"}}
	a := f.Do(r)
	require.Equal(t, "body", a.Body)
	require.Equal(t, "sum", a.Trailer.Get("X-Sum"))
	require.Equal(t, "late", a.Trailer.Get("X-Late"))
}

func TestEarlyHintsPass(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		fmt.Fprint(w, "done")
	})
	f.to("/", up.URL)
	var hints []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		hints = append(hints, fmt.Sprint(code, h["Link"]))
		return nil
	}}
	r := f.Request("GET", "/", nil)
	a := f.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	require.Equal(t, "done", a.Body)
	require.Equal(t, []string{"103 [</style.css>; rel=preload]"}, hints)
	require.Empty(t, a.Header["Link"])
}

// TestContinueIsTheUpstreamsToSay holds a body back until the upstream asks for it.
// For one of the two paths it does not.
func TestContinueIsTheUpstreamsToSay(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			fmt.Fprintf(w, "%s", body)
		}
	})
	f.to("/", up.URL)
	for path, want := range map[string][]string{
		"/yes": {"HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"},
		"/no":  {"HTTP/1.1 403 Forbidden"},
	} {
		conn, err := net.Dial("tcp", f.Addr)
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", path)
		from := bufio.NewReader(conn)
		for i, status := range want {
			require.Equal(t, status, readHeader(from))
			if i == 0 && len(want) > 1 {
				fmt.Fprint(conn, "body")
			}
		}
	}
}

// TestContinueThatNobodyAskedFor sends a whole request to an upstream that answers it with "100 Continue" all the same. An early
// hint is passed on.
func TestContinueThatNobodyAskedFor(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusContinue)
		w.WriteHeader(http.StatusEarlyHints)
	})
	f.to("/", up.URL)
	conn, err := net.Dial("tcp", f.Addr)
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
	from := bufio.NewReader(conn)
	require.Equal(t, "HTTP/1.1 103 Early Hints", readHeader(from))
	require.Equal(t, "HTTP/1.1 200 OK", readHeader(from))
}

func TestAnswerToHead(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "12345") })
	f.to("/", up.URL)
	a := f.Do(f.Request("HEAD", "/", nil))
	require.EqualValues(t, 12345, a.ContentLength)
	require.Empty(t, a.Body)
}

// TestPlacesPass sends requests through a proxy, with and without the rewriting of locations.
func TestPlacesPass(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/login")
		w.Header().Set("Set-Cookie", "a=1; Path=/")
		w.WriteHeader(http.StatusFound)
	})
	f.to("/api", up.URL)
	answer := f.Get("/api/x")
	require.Equal(t, []string{"/api/login", "a=1; Path=/api"}, []string{answer.Header.Get("Location"), answer.Header.Get("Set-Cookie")})
	f.bind("/kept", proxy.Document{Upstreams: []string{up.URL}, KeepLocation: true})
	answer = f.Get("/kept/x")
	require.Equal(t, []string{"/login", "a=1; Path=/"}, []string{answer.Header.Get("Location"), answer.Header.Get("Set-Cookie")})
}

func TestCirclesEnd(t *testing.T) {
	f := newFront(t, proxy.Config{})
	f.bind("/", proxy.Document{Upstreams: []string{f.URL}})
	a := f.Get("/x")
	require.Equal(t, http.StatusBadGateway, a.StatusCode)
	require.Contains(t, a.Body, "circles")
}

func TestCompressedBodiesPassAsTheyAre(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up := serveHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		fmt.Fprint(w, "not really")
	})
	f.to("/", up.URL)
	a := f.Get("/")
	require.Equal(t, "gzip", a.Header.Get("Content-Encoding"))
	require.Equal(t, "not really", a.Body)
}

// TestLargeBodiesStream passes more than all buffers hold, in both directions at once.
func TestLargeBodiesStream(t *testing.T) {
	f := newFront(t, proxy.Config{MaxBodyBytes: 64 << 20})
	up := serveHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			return
		}
		_, _ = io.Copy(w, r.Body)
	})
	f.to("/", up.URL)
	const sizeBytes = 20 << 20
	for _, length := range []int64{sizeBytes, -1} {
		r := f.Request("POST", "/", io.LimitReader(zeros{}, sizeBytes))
		r.ContentLength = length
		resp, err := f.RoundTrip(r)
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		require.EqualValues(t, sizeBytes, n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestQueryIsNotTouched(t *testing.T) {
	f := newFront(t, proxy.Config{})
	up, requests := watched(t)
	f.to("/", up)
	for _, query := range []string{"", "?", "?a=b", "?a;b", "?%", "?a=%zz&b", "?a=b&a=c#no", "?" + url.QueryEscape("ä ö")} {
		r := f.Request("GET", "/", nil)
		r.URL.Opaque = "/" + strings.TrimSuffix(query, "#no")
		require.Equal(t, http.StatusOK, f.Do(r).StatusCode)
		require.Equal(t, "/"+strings.TrimSuffix(query, "#no"), (<-requests).RequestURI)
	}
}
