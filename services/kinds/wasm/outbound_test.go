package wasm_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestForwarding is nea's "hyper" example, written with the SDK: a handler that makes
// a request and forwards the response.
func TestForwarding(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Add("X-Two", "a")
		w.Header().Add("X-Two", "b")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %q %s", r.Method, r.URL.RequestURI(), body, r.Header.Get("X-Mine"))
	}))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	s.add("/out", guests.SDK(t, "fetch"), servicetest.WithAllow(upstream.URL), servicetest.WithConfig(map[string]string{"upstream": upstream.URL + "/base"}))
	a := s.do("POST", "/out/a/b?c=d", "hello", "X-Mine: yes")
	require.Equal(t, http.StatusTeapot, a.StatusCode, a.Body)
	require.Contains(t, a.Body, `POST /base/a/b?c=d "hello" yes`)
	require.Equal(t, []string{"a", "b"}, a.Header.Values("X-Two"))
}

// TestGuestsOfEarlierSDKs has a guest that imports none of the functions for all fields at once.
func TestGuestsOfEarlierSDKs(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header()["Date"] = nil
		w.Header()["X-Two"] = []string{"a", "", "b"}
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.Header.Get("X-Mine"), body)
	}))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	s.add("/old", guests.Wat(t, "oldfetch"), servicetest.WithAllow(upstream.URL), servicetest.WithConfig(map[string]string{"upstream": upstream.URL}))
	a := s.get("/old")
	require.Equal(t, http.StatusTeapot, a.StatusCode, a.Body)
	require.Equal(t, "content-length\x00content-type\x00x-two\x00\na\x00\x00b\x00\nPOST upstream x-two\n", a.Body)
}

// TestAllFieldsOfAnAnswer forwards as many fields as an answer may have, and then more.
func TestAllFieldsOfAnAnswer(t *testing.T) {
	const fields = 1500
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := fields
		if r.URL.Path == "/more" {
			n = 10 * fields
		}
		for i := range n {
			w.Header().Add(fmt.Sprintf("X-%d", i/2), strings.Repeat("v", i%30))
		}
	}))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	s.add("/out", guests.SDK(t, "fetch"), servicetest.WithAllow(upstream.URL), servicetest.WithConfig(map[string]string{"upstream": upstream.URL}))
	a := s.get("/out")
	require.Equal(t, http.StatusOK, a.StatusCode, a.Body)
	for i := range fields / 2 {
		require.Equal(t, []string{strings.Repeat("v", 2*i%30), strings.Repeat("v", (2*i+1)%30)}, a.Header.Values(fmt.Sprintf("X-%d", i)))
	}
	require.Equal(t, http.StatusBadGateway, s.get("/out/more").StatusCode)
}

func TestNothingIsCalledWithoutAGrant(t *testing.T) {
	called := false
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	module := guests.SDK(t, "fetch")
	for name, allow := range map[string][]string{
		"no grants":       nil,
		"another port":    {"http://127.0.0.1:1"},
		"another scheme":  {strings.Replace(upstream.URL, "http", "https", 1)},
		"address by name": {strings.Replace(upstream.URL, "127.0.0.1", "localhost", 1)},
	} {
		t.Run(name, func(t *testing.T) {
			s.add("/out", module, servicetest.WithAllow(allow...), servicetest.WithConfig(map[string]string{"upstream": upstream.URL}))
			require.Contains(t, []int{http.StatusForbidden, http.StatusBadGateway}, s.get("/out").StatusCode)
			require.Contains(t, s.Log.String(), "outbound (-", "the reason is in the service's log")
		})
	}
	require.False(t, called)
}

func TestRefusedGrants(t *testing.T) {
	s := newServer(t, wasm.Config{})
	err := s.refused("/out", guests.Wat(t, "hello"),
		servicetest.WithAllow("https://*.example.com", "ftp://x", "http://x/path", "nonsense", "http://services.vespo.internal", "http://user@x"),
		servicetest.WithConfig(map[string]string{"": "x", "a=b": "y"}))
	for _, want := range []string{"wildcards", "scheme", "nothing else", "nonsense", "services.vespo.internal", "user@x", "a=b"} {
		require.ErrorContains(t, err, want)
	}
}

func TestServicesCallEachOtherInProcess(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 4})
	s.add("/echo", guests.Wat(t, "echo"))
	s.add("/echo/private", guests.Wat(t, "hello"))
	s.add("/out", guests.SDK(t, "fetch"), servicetest.WithAllow("http://echo.vespo.internal"), servicetest.WithConfig(map[string]string{"upstream": "http://echo.vespo.internal"}))
	a := s.do("POST", "/out/x?y=z", "through two guests")
	require.Equal(t, 200, a.StatusCode, a.Body)
	require.Equal(t, "through two guests", a.Body)
	require.Equal(t, "/echo/x?y=z", a.Header.Get("X-Uri"))

	s.add("/headers", guests.Go(t, "headers"))
	s.add("/up", guests.SDK(t, "fetch"), servicetest.WithAllow("http://headers.vespo.internal"), servicetest.WithConfig(map[string]string{"upstream": "http://headers.vespo.internal"}))
	require.Contains(t, s.do("POST", "/up", strings.Repeat("0123456789", 50_000)).Body, `"body_bytes":500000`)

	require.Equal(t, 404, s.get("/out/private").StatusCode, "a grant for /echo is none for /echo/private")
	require.Equal(t, 400, s.get("/out/%2e%2e/services/health").StatusCode)
}

func TestServicesThatCallThemselvesEnd(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 2})
	s.add("/self", guests.SDK(t, "fetch"), servicetest.WithTimeout(3*time.Second), servicetest.WithAllow("http://self.vespo.internal"), servicetest.WithConfig(map[string]string{"upstream": "http://self.vespo.internal"}))
	start := time.Now()
	a := s.get("/self")
	require.GreaterOrEqual(t, a.StatusCode, 500, "too deep, or no capacity for the next")
	t.Logf("%d after %v: %s", a.StatusCode, time.Since(start), a.Body)
	require.Equal(t, 0, s.InFlight(), "nothing hangs")
}

func TestForwardedAnswersStream(t *testing.T) {
	next := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "event %d\n", i)
			w.(http.Flusher).Flush()
			<-next
		}
	}))
	defer upstream.Close()
	s := newServer(t, wasm.Config{})
	s.add("/out", guests.SDK(t, "fetch"), servicetest.WithAllow(upstream.URL), servicetest.WithConfig(map[string]string{"upstream": upstream.URL}))
	res, err := s.Client().Get(s.URL + "/out")
	require.NoError(t, err)
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for i := range 3 {
		line, err := lines.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("event %d\n", i), line, "each arrives before the next is made")
		next <- struct{}{}
	}
}

func TestUpstreamsThatMisbehave(t *testing.T) {
	hang := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hang":
			<-hang
		case "/garbage", "/half", "/cut":
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, map[string]string{"/garbage": "not http at all\r\n\r\n", "/half": "HTTP/1.1 200 OK\r\nContent-Le",
				"/cut": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"}[r.URL.Path])
		case "/redirect":
			http.Redirect(w, r, "http://169.254.169.254/latest", http.StatusFound)
		}
	}))
	defer upstream.Close()
	defer close(hang)
	s := newServer(t, wasm.Config{})
	s.add("/out", guests.SDK(t, "fetch"), servicetest.WithTimeout(time.Second), servicetest.WithAllow(upstream.URL), servicetest.WithConfig(map[string]string{"upstream": upstream.URL}))
	require.Equal(t, http.StatusGatewayTimeout, s.get("/out/hang").StatusCode)
	require.Equal(t, http.StatusBadGateway, s.get("/out/garbage").StatusCode)
	require.Equal(t, http.StatusBadGateway, s.get("/out/half").StatusCode)
	require.NotContains(t, s.get("/out/garbage").Body, upstream.Listener.Addr().String())
	client := *s.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err := client.Get(s.URL + "/out/redirect")
	require.NoError(t, err)
	res.Body.Close()
	require.Equal(t, http.StatusFound, res.StatusCode, "redirects are the guest's to see")
	res, err = client.Get(s.URL + "/out/cut")
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
		require.True(t, err != nil || res.StatusCode >= 500, "a broken answer does not look whole")
	}
}

func TestTheJSONExample(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/shop", guests.SDK(t, "json"))
	require.Contains(t, s.get("/shop/items").Body, "honey")
	require.Equal(t, 201, s.do("POST", "/shop/items", `{"name":"propolis","cents":999}`).StatusCode)
	require.NotContains(t, s.get("/shop/items").Body, "propolis", "each request finds the items as they were at the start")
	require.Equal(t, 404, s.get("/shop/items/77").StatusCode)
	require.Equal(t, 400, s.do("POST", "/shop/items", `{`).StatusCode)
}
