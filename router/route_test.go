package router

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/admission"
)

func isDrained(r *Route) bool {
	select {
	case <-r.Drained():
		return true
	default:
		return false
	}
}

func TestUnusedRouteDrainsAtOnce(t *testing.T) {
	r := routesOf("/a")[0]
	require.False(t, isDrained(r))
	r.Retire()
	require.True(t, isDrained(r))
	r.Retire()
	require.False(t, r.pin())
	require.False(t, r.pin())
}

func TestRouteDrainsWithItsLastRequest(t *testing.T) {
	r := routesOf("/a")[0]
	require.True(t, r.pin())
	require.True(t, r.pin())
	r.unpin()
	r.Retire()
	require.False(t, isDrained(r))
	require.False(t, r.pin())
	require.False(t, isDrained(r))
	r.unpin()
	require.True(t, isDrained(r))
}

func TestRouteHammer(t *testing.T) {
	for range 20 {
		r := routesOf("/a")[0]
		var inside atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for r.pin() {
					inside.Add(1)
					if isDrained(r) {
						t.Error("a request runs on a drained route")
					}
					inside.Add(-1)
					r.unpin()
				}
			})
		}
		wg.Go(func() { r.Retire() })
		<-r.Drained()
		require.Zero(t, inside.Load())
		wg.Wait()
	}
}

func TestRequestInFlightEndsOnTheOldVersion(t *testing.T) {
	b, entered, release := blocking(admission.Limits{}, 10)
	old := b.Handler
	b.Handler = HandlerFunc(func(w http.ResponseWriter, r *Request, res *accesslog.Result) error {
		return errors.Join(old.Serve(w, r, res), say("old")(w, r, res))
	})
	h := newHouse(t, Config{})
	route := h.publish(b)[0]
	first := make(chan string)
	go func() {
		answer, err := h.server.Client().Get(h.server.URL + "/test")
		if err != nil {
			first <- err.Error()
			return
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		first <- string(body)
	}()
	<-entered
	h.publish(binding("/test", say("new")))
	route.Retire()
	_, body := h.do("GET", "/test", nil)
	require.Equal(t, "new", string(body))
	require.False(t, isDrained(route))
	close(release)
	require.Equal(t, "old", <-first)
	<-route.Drained()
}

func TestRouteRetiredWhileItIsPublished(t *testing.T) {
	h := newHouse(t, Config{})
	h.publish(binding("/test", say("x")))[0].Retire()
	answer, body := h.do("GET", "/test", nil)
	h.requireProblem(problem.NotReady, answer, body)
}

// version is a deployment that must not be used after it is closed.
type version struct {
	number int
	closed atomic.Bool
	misuse *atomic.Int64
}

func (v *version) Serve(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
	if v.closed.Load() {
		v.misuse.Add(1)
	}
	_, err := io.WriteString(w, strconv.Itoa(v.number))
	if v.closed.Load() {
		v.misuse.Add(1)
	}
	return err
}

// replacing replaces the service "/test" by new versions in a loop until done is closed, and closes
// each old version once it is drained. Publishing counts as the acknowledgement of a version.
func replacing(t *testing.T, rt *Router, limiter *admission.Limiter, acknowledged *atomic.Int64, done <-chan struct{}) {
	var misuse atomic.Int64
	var old *Route
	for number := acknowledged.Load(); ; number++ {
		v := &version{number: int(number), misuse: &misuse}
		next := NewRoute(Binding{Key: routekey.Key{Prefix: "/test"}, Service: "test", Handler: v, Limiter: limiter})
		table, err := BuildTable([]*Route{next})
		require.NoError(t, err)
		rt.Publish(table)
		acknowledged.Store(number)
		if old != nil {
			old.Retire()
			<-old.Drained()
			old.Handler.(*version).closed.Store(true)
		}
		old = next
		select {
		case <-done:
			require.Zero(t, misuse.Load(), "requests served by closed versions")
			return
		default:
		}
	}
}

// TestPublishHammer replaces a service continuously under load. No request may be lost, be
// served by a closed version, or see an older version after a newer one was acknowledged.
func TestPublishHammer(t *testing.T) {
	const requests, clients = 2000, 4
	limiter := admission.NewGate(clients).NewLimiter(admission.Limits{})
	var records, acknowledged atomic.Int64
	rt := New(Config{AccessLog: func(*accesslog.Record) { records.Add(1) }})
	hammer(t, rt, limiter, &acknowledged, clients, func() {
		for range requests {
			least := acknowledged.Load()
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, httptest.NewRequest("GET", "/test/x", nil))
			number, err := strconv.ParseInt(w.Body.String(), 10, 64)
			if w.Code != http.StatusOK || err != nil || number < least {
				t.Errorf("status %d, body %q, acknowledged %d", w.Code, w.Body, least)
				return
			}
		}
	})
	require.EqualValues(t, requests*clients, records.Load())
	require.EqualValues(t, requests*clients, limiter.Stats().Admitted)
	require.Zero(t, limiter.Stats().InFlight)
}

// TestPublishHammerOverTheNetwork is the same over connections.
func TestPublishHammerOverTheNetwork(t *testing.T) {
	const requests, clients = 300, 4
	h := newHouse(t, Config{})
	h.accessLog = nil
	var acknowledged atomic.Int64
	hammer(t, h.Router, nil, &acknowledged, clients, func() {
		for range requests {
			answer, err := h.server.Client().Get(h.server.URL + "/test")
			if err != nil {
				t.Error(err)
				return
			}
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != http.StatusOK {
				t.Errorf("status %d, %v", answer.StatusCode, err)
			}
		}
	})
}

// hammer runs clients while the service is being replaced. The first version is published before they start.
func hammer(t *testing.T, rt *Router, limiter *admission.Limiter, acknowledged *atomic.Int64, clients int, client func()) {
	acknowledged.Store(1)
	first := make(chan struct{})
	close(first)
	replacing(t, rt, limiter, acknowledged, first)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(client)
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	replacing(t, rt, limiter, acknowledged, done)
}

// TestRouteCountsRequests checks that failures of the service are told apart from those of clients.
func TestRouteCountsRequests(t *testing.T) {
	h := newHouse(t, Config{})
	answers := map[string]HandlerFunc{
		"/ok": say("ok"),
		"/refused": func(http.ResponseWriter, *Request, *accesslog.Result) error {
			return problem.New(problem.Conflict, "d")
		},
		"/failed": func(http.ResponseWriter, *Request, *accesslog.Result) error { return problem.New(problem.Trap, "d") },
		"/panic":  func(http.ResponseWriter, *Request, *accesslog.Result) error { panic("on purpose") },
		"/own": func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			w.WriteHeader(http.StatusBadGateway)
			return nil
		},
		"/broken": func(w http.ResponseWriter, _ *Request, _ *accesslog.Result) error {
			_, _ = io.WriteString(w, "part")
			return errors.New("broken off")
		},
		"/left": func(w http.ResponseWriter, r *Request, _ *accesslog.Result) error {
			ctx, cancel := context.WithCancel(r.Context())
			r.Request = r.WithContext(ctx)
			cancel()
			return ctx.Err()
		},
	}
	for path, want := range map[string]uint64{"/ok": 0, "/refused": 0, "/failed": 1, "/panic": 1, "/own": 1, "/broken": 1, "/left": 0} {
		route := h.publish(binding("/", answers[path]))[0]
		for range 2 {
			answer, err := h.server.Client().Post(h.server.URL+path, "text/plain", nil) // a GET would be sent again if its answer breaks off
			if err == nil {
				_ = answer.Body.Close()
			}
			h.record()
		}
		require.Equal(t, RouteStats{Requests: 2, Errors: 2 * want}, route.Stats(), path)
	}
}
