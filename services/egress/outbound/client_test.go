package outbound

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/runtime/abi"
)

type serviceFunc func(prefix routekey.Prefix, w http.ResponseWriter, r *http.Request) error

func (f serviceFunc) Dispatch(prefix routekey.Prefix, w http.ResponseWriter, r *http.Request, _ any) error {
	return f(prefix, w, r)
}

func newClient(t *testing.T, limits Limits, dispatcher Dispatcher, allow ...string) *Client {
	t.Helper()
	a, violations := ParseAllow(allow)
	require.Empty(t, violations)
	c := New(Config{Allow: a, Limits: limits, Router: dispatcher, Caller: "/caller"})
	t.Cleanup(c.Close)
	return c
}

func (c *Client) exchange() abi.Outbound {
	return c.ForExchange(time.Now().Add(10*time.Second), Origin{})
}

func requireCode(t *testing.T, want abi.OutboundCode, err error) {
	t.Helper()
	var out *abi.OutboundError
	require.ErrorAs(t, err, &out)
	require.Equal(t, want, out.Code, "%v", err)
}

// roundTrip makes one complete call.
func roundTrip(t *testing.T, x abi.Outbound, method, uri string, pieces ...string) (status int, body string, err error) {
	t.Helper()
	call, err := x.Open(context.Background(), method, uri)
	if err != nil {
		return 0, "", err
	}
	defer call.Close()
	for _, p := range pieces {
		if err := call.Write([]byte(p)); err != nil {
			return 0, "", err
		}
	}
	if status, err = call.Send(); err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(call)
	return status, string(b), err
}

func TestRequestsArriveAsTheyWereMade(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, r.Method+" "+r.RequestURI+" "+r.Host+" "+strings.Join(r.TransferEncoding, ",")+" "+r.Header.Get("X-A")+" "+string(b))
		w.Header().Set("X-Sum", "7")
	}))
	defer up.Close()
	c := newClient(t, Limits{}, nil, up.URL)
	call, err := c.exchange().Open(context.Background(), "PUT", up.URL+"/a%2Fb?c=d")
	require.NoError(t, err)
	defer call.Close()
	require.NoError(t, call.AddHeader("Host", "other"))
	require.NoError(t, call.AddHeader("X-A", "v"))
	require.NoError(t, call.Write([]byte("one ")))
	require.NoError(t, call.Write([]byte("two")))
	status, err := call.Send()
	require.NoError(t, err)
	require.Equal(t, 200, status)
	b, err := io.ReadAll(call)
	require.NoError(t, err)
	require.Equal(t, "PUT /a%2Fb?c=d other chunked v one two", string(b))
	require.Equal(t, []string{"7"}, call.Trailer()["X-Sum"])
}

func TestContentLengthFramesTheBody(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer up.Close()
	c := newClient(t, Limits{}, nil, up.URL)
	for length, want := range map[string]abi.OutboundCode{"4": 0, "3": abi.OutboundBroken, "5": abi.OutboundBroken, "x": abi.OutboundInvalid, "-1": abi.OutboundInvalid} {
		call, err := c.exchange().Open(context.Background(), "POST", up.URL)
		require.NoError(t, err)
		err = call.AddHeader("Content-Length", length)
		if err == nil {
			if err = call.Write([]byte("body")); err == nil {
				_, err = call.Send()
			}
		}
		if want == 0 {
			require.NoError(t, err)
		} else {
			requireCode(t, want, err)
		}
		require.NoError(t, call.Close())
	}
}

func TestLimits(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/body":
			io.WriteString(w, strings.Repeat("b", 2000))
		case "/header":
			w.Header().Set("X-Large", strings.Repeat("h", 20_000))
		}
	}))
	defer up.Close()
	c := newClient(t, Limits{Calls: 3, Concurrent: 2, HeaderBytes: 5000, BodyBytes: 1000}, nil, up.URL)

	x := c.exchange()
	first, err := x.Open(context.Background(), "GET", up.URL)
	require.NoError(t, err)
	second, err := x.Open(context.Background(), "GET", up.URL)
	require.NoError(t, err)
	_, err = x.Open(context.Background(), "GET", up.URL)
	requireCode(t, abi.OutboundTooMany, err)
	require.Equal(t, Stats{Open: 2, Calls: 2, Refused: 1}, c.Stats())
	require.NoError(t, first.Close())
	third, err := x.Open(context.Background(), "GET", up.URL)
	require.NoError(t, err, "a closed call makes room")
	require.NoError(t, errors.Join(second.Close(), third.Close(), third.Close()))
	_, err = x.Open(context.Background(), "GET", up.URL)
	requireCode(t, abi.OutboundTooMany, err)
	require.Equal(t, Stats{Calls: 3, Refused: 2}, c.Stats())

	_, _, err = roundTrip(t, c.exchange(), "GET", up.URL+"/body")
	requireCode(t, abi.OutboundTooLarge, err)
	_, _, err = roundTrip(t, c.exchange(), "GET", up.URL+"/header")
	require.Error(t, err)
	_, _, err = roundTrip(t, c.exchange(), "POST", up.URL, strings.Repeat("x", 600), strings.Repeat("x", 600))
	requireCode(t, abi.OutboundTooLarge, err)
	call, err := c.exchange().Open(context.Background(), "GET", up.URL)
	require.NoError(t, err)
	defer call.Close()
	requireCode(t, abi.OutboundTooLarge, call.AddHeader("X", strings.Repeat("v", 6000)))
}

func TestWhatCannotBeCalled(t *testing.T) {
	c := newClient(t, Limits{}, nil, "https://api.example.com", "http://a.vespo.internal", "https://b.vespo.internal")
	for uri, want := range map[string]abi.OutboundCode{
		"https://other.example.com":      abi.OutboundForbidden,
		"not a uri\x00":                  abi.OutboundInvalid,
		"/relative":                      abi.OutboundInvalid,
		"file:///etc/passwd":             abi.OutboundInvalid,
		"https://u:p@api.example.com":    abi.OutboundInvalid,
		"http://a.vespo.internal":        abi.OutboundUnreachable, // no router
		"https://b.vespo.internal":       abi.OutboundUnreachable, // no TLS
		"http://services.vespo.internal": abi.OutboundForbidden,
	} {
		_, err := c.exchange().Open(context.Background(), "GET", uri)
		requireCode(t, want, err)
	}
	for _, method := range []string{"", "GET /x", "CONNECT", "G\r\nET"} {
		_, err := c.exchange().Open(context.Background(), method, "https://api.example.com")
		requireCode(t, abi.OutboundInvalid, err)
	}
}

// TestNamesThatResolveInside covers the second check: the name is granted, but its address is not.
func TestNamesThatResolveInside(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	_, port, err := net.SplitHostPort(up.Listener.Addr().String())
	require.NoError(t, err)
	name := "http://granted.example:" + port
	c := newClient(t, Limits{}, nil, name)
	// Replaces name resolution. The policy still checks the dialled address.
	resolve := func(c *Client) {
		c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, _ := net.SplitHostPort(address)
			return c.cfg.Allow.dialer(host).DialContext(ctx, network, up.Listener.Addr().String())
		}
	}
	resolve(c)
	_, _, err = roundTrip(t, c.exchange(), "GET", name)
	requireCode(t, abi.OutboundForbidden, err)

	c = newClient(t, Limits{}, nil, name, "http://localhost:1", "http://127.0.0.1:2")
	resolve(c)
	_, _, err = roundTrip(t, c.exchange(), "GET", name)
	requireCode(t, abi.OutboundForbidden, err) // grants of other origins' literal addresses do not apply

	c = newClient(t, Limits{}, nil, name, "127.0.0.0/8")
	resolve(c)
	_, _, err = roundTrip(t, c.exchange(), "GET", name)
	require.NoError(t, err, "with a grant for the address")
}

func TestServersThatFail(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := "http://" + closed.Addr().String()
	closed.Close()
	tls := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	var out *abi.OutboundError
	wrong := httptest.NewServer(http.NotFoundHandler())
	defer wrong.Close()
	secure := strings.Replace(wrong.URL, "http:", "https:", 1)
	c := newClient(t, Limits{}, nil, nobody, tls.URL, secure)
	for to, cause := range map[string]abi.OutboundCause{
		nobody:  abi.CauseRefused,
		tls.URL: abi.CauseCertificate, // it is not trusted
		secure:  abi.CauseTLS,
	} {
		_, _, err = roundTrip(t, c.exchange(), "GET", to)
		requireCode(t, abi.OutboundUnreachable, err)
		require.ErrorAs(t, err, &out)
		require.Equal(t, cause, out.Cause, "%s: %v", to, err)
	}
	require.ErrorAs(t, classify(&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}), &out)
	require.Equal(t, abi.CauseName, out.Cause)
}

func TestDeadlineEndsACall(t *testing.T) {
	hang := make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer up.Close()
	defer close(hang)
	c := newClient(t, Limits{}, nil, up.URL)
	x := c.ForExchange(time.Now().Add(50*time.Millisecond), Origin{})
	_, _, err := roundTrip(t, x, "GET", up.URL)
	requireCode(t, abi.OutboundDeadline, err)
	x = c.ForExchange(time.Now().Add(50*time.Millisecond), Origin{})
	_, _, err = roundTrip(t, x, "POST", up.URL, "body")
	requireCode(t, abi.OutboundDeadline, err)
}

func TestCallsBetweenServices(t *testing.T) {
	var c *Client
	router := serviceFunc(func(prefix routekey.Prefix, w http.ResponseWriter, r *http.Request) error {
		b, err := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/a/deeper":
			_, _, err := roundTripIn(r.Context(), c.exchange(), "http://a.vespo.internal/deeper")
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				io.WriteString(w, err.Error())
			}
			return nil
		case "/a/abort":
			io.WriteString(w, "part")
			return http.ErrAbortHandler
		}
		w.Header().Set(http.TrailerPrefix+"X-After", "t")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, string(prefix)+" "+r.RequestURI+" "+r.Host+" "+r.RemoteAddr+" "+string(b))
		return err
	})
	c = newClient(t, Limits{Depth: 3}, router, "http://a.vespo.internal")
	status, body, err := roundTrip(t, c.exchange(), "POST", "http://a.vespo.internal/x%2Fy?z", "one ", "two")
	require.NoError(t, err)
	require.Equal(t, http.StatusAccepted, status)
	require.Equal(t, "/a /a/x%2Fy?z a.vespo.internal vespo:/caller one two", body)

	status, body, err = roundTrip(t, c.exchange(), "GET", "http://a.vespo.internal/deeper")
	require.NoError(t, err)
	require.Equal(t, 200, status, "only the innermost call fails: %s", body)

	_, _, err = roundTrip(t, c.exchange(), "GET", "http://a.vespo.internal/abort")
	require.Error(t, err, "an answer that breaks off does not look whole")
}

// roundTripIn makes a call from within a call.
func roundTripIn(ctx context.Context, x abi.Outbound, uri string) (int, string, error) {
	call, err := x.Open(ctx, "GET", uri)
	if err != nil {
		return 0, "", err
	}
	defer call.Close()
	status, err := call.Send()
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(call)
	return status, string(b), err
}

func TestAbandonedCallsEnd(t *testing.T) {
	ended := make(chan struct{})
	router := serviceFunc(func(_ routekey.Prefix, w http.ResponseWriter, r *http.Request) error {
		defer close(ended)
		for {
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				return nil
			}
		}
	})
	c := newClient(t, Limits{}, router, "http://a.vespo.internal")
	call, err := c.exchange().Open(context.Background(), "POST", "http://a.vespo.internal/")
	require.NoError(t, err)
	_, err = call.Send()
	require.NoError(t, err)
	_, err = call.Read(make([]byte, 10))
	require.NoError(t, err)
	require.NoError(t, call.Close())
	<-ended
}
