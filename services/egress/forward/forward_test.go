package forward_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services/egress/forward"
)

func TestHomeServesWhatIsNotLoaded(t *testing.T) {
	a, b := pair(t, func(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
		res.Work = 7
		body, err := io.ReadAll(r.Body)
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		w.Header().Set("Seen", strings.Join([]string{r.Method, r.RequestURI, r.URL.EscapedPath(), r.Rest, r.Proto, r.Host, r.RemoteAddr, r.ID,
			r.Header.Get("X-Request-Id"), r.Header.Get("X-Forwarded-For"), r.Header.Get("Authorization"), r.Header.Get("Expect"), r.Header.Get(httpfield.ForwardHeader),
			fmt.Sprint(r.ContentLength), r.Client.Scheme}, "|"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write(body)
		return err
	})
	r := a.request("POST", "/a/%2Fx%41/..b?q=%zz;&", "hello")
	r.Host = "www.example.com"
	r.Header.Set("X-Forwarded-For", "192.0.2.7")
	r.Header.Set("X-Forwarded-Proto", "https")
	r.Header.Set("X-Request-Id", "id-1")
	r.Header.Set("Authorization", "Bearer the client's")
	r.Header.Set(httpfield.ForwardHeader, `{"nonce":"1"}`)
	resp, body := a.do(r)
	require.Equal(t, http.StatusTeapot, resp.StatusCode)
	require.Equal(t, "hello", body)
	require.Equal(t, "b", resp.Header.Get("Served-By"))
	require.Equal(t, "id-1", resp.Header.Get("X-Request-Id"))
	require.Equal(t, []string{"POST", "/a/%2Fx%41/..b?q=%zz;&", "/a/%2Fx%41/..b", "/%2Fx%41/..b", "HTTP/1.1", "www.example.com", "192.0.2.7:0", "id-1", "id-1", "192.0.2.7",
		"Bearer the client's", "", "", "5", "https"}, strings.Split(resp.Header.Get("Seen"), "|"))
	here, there := a.record(), b.record()
	require.Equal(t, accesslog.StartForwarded, here.Start)
	require.Equal(t, http.StatusTeapot, here.Status)
	require.Zero(t, here.Work, "the home counts it")
	require.EqualValues(t, 5, here.BytesIn)
	require.EqualValues(t, 7, there.Work)
	require.Equal(t, here.RequestID, there.RequestID)
	require.Equal(t, here.Remote, there.Remote)
	require.Equal(t, here.Peer, there.Peer)
	require.Equal(t, forward.Stats{Forwarded: 1, Peers: 1}, a.Stats())
	require.Equal(t, forward.Stats{Received: 1, Peers: 1}, b.Stats())
	require.Zero(t, a.runs.Load())
	a.code.loaded.Store(true)
	require.Equal(t, "a", a.servedBy("/a"))
}

// TestOneHop checks that a home that is not loaded, and for which another one is the home, serves the request itself.
func TestOneHop(t *testing.T) {
	a, b := pair(t, nil)
	b.home = a.at(token)
	require.Equal(t, "b", a.servedBy("/a"))
	require.Equal(t, "a", b.servedBy("/a"))
}

func TestDeclined(t *testing.T) {
	for name, decline := range map[string]func(t *testing.T, a, b *host){
		"another version": func(_ *testing.T, _, b *host) { b.publish("sha256:2") },
		"drained":         func(_ *testing.T, _, b *host) { b.leaving.Store(true) },
		"leaving":         func(_ *testing.T, _, b *host) { b.router.Leave() },
		"another token":   func(_ *testing.T, a, b *host) { a.home = b.at("another token") },
		"busy": func(t *testing.T, _, b *host) {
			_, _, err := b.gate.NewLimiter(admission.Limits{Weight: 4}).Acquire(t.Context())
			require.NoError(t, err)
		},
		"full service": func(t *testing.T, _, b *host) {
			for range 3 {
				_, _, err := b.limiter.Acquire(t.Context())
				require.NoError(t, err)
			}
		},
		"unreachable": func(_ *testing.T, _, b *host) { b.peers.Close() },
		"another certificate": func(t *testing.T, a, b *host) {
			a.home = forward.NewPeer(forward.PeerConfig{Address: b.peers.Listener.Addr().String(), Token: token, TLS: &tls.Config{RootCAs: x509.NewCertPool()}})
			t.Cleanup(a.home.Close)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, nil)
			decline(t, a, b)
			for _, body := range []string{"", "hello", strings.Repeat("hello", 30_000)} {
				resp, got := a.do(a.request("POST", "/a", body))
				require.Equal(t, "a", resp.Header.Get("Served-By"))
				require.Equal(t, len(body), len(got))
			}
			require.Zero(t, b.runs.Load())
			s := a.Stats()
			require.EqualValues(t, 1, s.Declined+s.Unreached, "then it is left alone for a while: %+v", s)
			require.Empty(t, a.record().Start)
		})
	}
}

// TestNothingRunsTwice checks that a request which the home has begun is not sent again, whatever its method, and not served here.
func TestNothingRunsTwice(t *testing.T) {
	for _, method := range []string{"GET", "POST", "PUT"} {
		t.Run(method, func(t *testing.T) {
			var fail atomic.Bool
			a, b := pair(t, func(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
				if fail.Load() {
					conn, _, err := http.NewResponseController(w).Hijack()
					if err == nil {
						err = conn.Close()
					}
					return err
				}
				return nil
			})
			require.Equal(t, "b", a.servedBy("/a"), "on a connection that is used again")
			fail.Store(true)
			r := a.request(method, "/a", "")
			resp, body := a.do(r)
			require.Equal(t, http.StatusBadGateway, resp.StatusCode)
			require.NotContains(t, body, "host")
			require.EqualValues(t, 2, b.runs.Load())
			require.Zero(t, a.runs.Load())
			require.EqualValues(t, 1, a.Stats().Failed)
			require.Equal(t, "a", a.servedBy("/a"), "the home is left alone for a while")
		})
	}
}

func TestClientLeaves(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	a, _ := pair(t, func(_ http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		close(begun)
		<-r.Context().Done()
		close(ended)
		return r.Context().Err()
	})
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-begun
		leave()
	}()
	resp, err := a.public.Client().Do(a.request("GET", "/a", "").WithContext(ctx))
	if err == nil {
		_ = resp.Body.Close()
	}
	require.Error(t, err)
	select {
	case <-ended:
	case <-time.After(patience):
		require.Fail(t, "the home was not told")
	}
	require.Equal(t, accesslog.OutcomeClientGone, a.record().Outcome)
}

func TestHomeIsTooSlow(t *testing.T) {
	a, _ := pair(t, func(_ http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		<-r.Context().Done()
		return r.Context().Err()
	})
	a.code.limit = 50*time.Millisecond - 2*time.Second
	resp, _ := a.do(a.request("GET", "/a", ""))
	require.Equal(t, http.StatusGatewayTimeout, resp.StatusCode)
	require.Zero(t, a.runs.Load())
}

// TestManyRequestsAreServedHere checks that a service with many requests is not left to its home.
func TestManyRequestsAreServedHere(t *testing.T) {
	a, b := pair(t, nil)
	for range 100 {
		a.servedBy("/a")
	}
	require.GreaterOrEqual(t, b.runs.Load(), int32(1))
	require.GreaterOrEqual(t, a.runs.Load(), int32(50))
	require.EqualValues(t, 100, a.runs.Load()+b.runs.Load())
}

// TestRepeatableRequestsAreServedHere checks that requests which the transport would send again are not forwarded.
func TestRepeatableRequestsAreServedHere(t *testing.T) {
	a, b := pair(t, nil)
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		r := a.request("POST", "/a", "")
		r.Header.Set(name, "1")
		resp, _ := a.do(r)
		require.Equal(t, "a", resp.Header.Get("Served-By"))
	}
	require.Zero(t, b.runs.Load())
}

func TestUpgradesAreServedHere(t *testing.T) {
	a, b := pair(t, nil)
	r := a.request("GET", "/a", "")
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	resp, _ := a.do(r)
	require.Equal(t, "a", resp.Header.Get("Served-By"))
	require.Zero(t, b.runs.Load())
}

// TestHTTP2 checks that the home sees the protocol of the client.
func TestHTTP2(t *testing.T) {
	a, _ := pair(t, func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		_, err := io.WriteString(w, r.Proto)
		return err
	})
	server := httptest.NewUnstartedServer(a.router)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	resp, err := server.Client().Get(server.URL + "/a")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "HTTP/2.0", string(text))
	require.Equal(t, "b", resp.Header.Get("Served-By"))
}

// TestPublicListenerIgnoresNotes checks that the note of another host means nothing to the listener of clients.
func TestPublicListenerIgnoresNotes(t *testing.T) {
	a, b := pair(t, nil)
	seen := make(chan string, 1)
	a.code.loaded.Store(true)
	a.handle = func(_ http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		seen <- fmt.Sprint(r.Passed, r.Header[httpfield.ForwardHeader])
		return nil
	}
	a.publish(version)
	r := a.request("GET", "/a", "")
	r.Header.Set(httpfield.ForwardHeader, `{"token":"the token","nonce":"1","prefix":"/a","version":"`+version+`","client":{"remote":"1.1.1.1:1"}}`)
	a.do(r)
	require.Equal(t, "false []", <-seen)
	require.Zero(t, b.runs.Load())
}

// TestLongNotes checks that a request whose note the home would refuse is served here.
func TestLongNotes(t *testing.T) {
	a, b := pair(t, nil)
	r := a.request("GET", "/a", "")
	r.Host = strings.Repeat("a.", forward.NoteBytes/2)
	resp, text := a.do(r)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%.100s", text)
	require.Equal(t, "a", resp.Header.Get("Served-By"))
	require.Zero(t, b.runs.Load())
}

func TestMalformedNotes(t *testing.T) {
	_, b := pair(t, nil)
	for _, text := range []string{"", "{}", "x", `{"nonce":1}`, strings.Repeat("x", forward.NoteBytes+1), `{"nonce":"1","token":"the token"}`, `{"nonce":"1","token":"","prefix":"/a","version":"sha256:1"}`} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", b.peers.URL+"/a", http.NoBody)
		require.NoError(t, err)
		r.Header.Set(httpfield.ForwardHeader, text)
		resp, err := b.peers.Client().Do(r)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.GreaterOrEqual(t, resp.StatusCode, 400, "%.50s", text)
	}
	require.Zero(t, b.runs.Load())
}

func TestHomes(t *testing.T) {
	names := []string{"10.0.0.1:7070", "10.0.0.2:7070", "10.0.0.3:7070", "10.0.0.4:7070"}
	require.Equal(t, -1, forward.Home("/a", nil))
	counts, moved := make([]int, len(names)), 0
	for i := range 4000 {
		service := fmt.Sprintf("/service-%d", i)
		home := forward.Home(service, names)
		counts[home]++
		require.Equal(t, names[home], []string{names[3], names[1], names[0], names[2]}[forward.Home(service, []string{names[3], names[1], names[0], names[2]})], "the order is of no account")
		if fewer := forward.Home(service, names[:3]); fewer != home {
			require.Equal(t, 3, home, "only the services of the host that is gone move")
			moved++
		}
	}
	require.Equal(t, counts[3], moved)
	for _, n := range counts {
		require.InDelta(t, 1000, n, 200)
	}
}
