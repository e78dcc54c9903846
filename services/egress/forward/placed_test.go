package forward_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/egress/forward"
	"github.com/vespo-dev/vespo/services/placement"
)

// holder is what a host holds. It declines the first requests.
type holder struct{ declines atomic.Int32 }

func (h *holder) Holds(key routekey.Key, definition string, g registry.Generation) bool {
	return h.declines.Add(-1) < 0 && key.Prefix == service && definition == "d" && g == 7
}

func (h *holder) Later(routekey.Key, string, registry.Generation) registry.Generation { return 0 }

func (h *holder) Unable(routekey.Key) bool { return false }

// place makes the service of h one that the peers have, which it returns.
func (h *host) place(limit time.Duration, peers ...*forward.Peer) *forward.Placed {
	h.t.Helper()
	f := forward.New(forward.Config{
		Peers:        func() int { return len(peers) },
		Holders:      func(string, placement.Placement) ([]*forward.Peer, int) { return peers, len(peers) },
		Timeout:      limit,
		MaxBodyBytes: 1 << 20,
	})
	h.Forwarder = f
	key := routekey.Key{Prefix: service}
	p := f.Placed(forward.PlacedConfig{Service: registry.Service{Key: key}, State: forward.State{Definition: "d", Generation: 7}})
	h.route(p)
	return p
}

// route makes the host serve by p.
func (h *host) route(p *forward.Placed) {
	h.t.Helper()
	key := routekey.Key{Prefix: service}
	table, err := router.BuildTable([]*router.Route{router.NewRoute(router.Binding{Key: key, Service: service, Handler: p})})
	require.NoError(h.t, err)
	h.router.Publish(table)
}

// echo answers with the body.
func echo(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
	body, err := io.ReadAll(r.Body)
	_, _ = w.Write(body)
	return err
}

func TestHoldersServePlacedServices(t *testing.T) {
	a, b, c := newHost(t, "a", nil), newHost(t, "b", echo), newHost(t, "c", echo)
	for _, h := range []*host{b, c} {
		h.Receiver().HoldBy(&holder{})
	}
	b.leaving.Store(true) // it serves what it has
	p := a.place(patience, b.at(token), c.at(token))
	by := make(map[string]int)
	for range 8 {
		resp, body := a.do(a.request("POST", "/a/x", "hello"))
		require.Equal(t, http.StatusOK, resp.StatusCode, body)
		require.Equal(t, "hello", body)
		by[resp.Header.Get("Served-By")]++
		require.Equal(t, accesslog.StartForwarded, a.record().Start)
	}
	require.Equal(t, map[string]int{"b": 4, "c": 4}, by, "they take turns")
	require.Contains(t, p.Hosts(), ", ")

	r := a.request("POST", "/a", "")
	r.Header.Set("Idempotency-Key", "1")
	resp, _ := a.do(r)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	b.peers.Close()
	a.place(patience, b.at(token), c.at(token)) // without connections
	for range 4 {
		require.Equal(t, "c", a.servedBy("/a"), "the other one is asked")
	}
	require.Positive(t, a.Stats().Unreached)
	c.peers.Close()
	a.place(patience, c.at(token))
	resp, body := a.do(a.request("GET", "/a", ""))
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Equal(t, "2", resp.Header.Get("Retry-After"))
	require.Contains(t, body, "problems/no-host")
	require.Contains(t, body, "no host of this service can be reached")
}

// TestHoldersThatAreBehind lets a request wait until its holder serves it, with its body.
func TestHoldersThatAreBehind(t *testing.T) {
	a, b := newHost(t, "a", nil), newHost(t, "b", echo)
	var behind holder
	behind.declines.Store(3)
	b.Receiver().HoldBy(&behind)
	a.place(patience, b.at(token))
	resp, body := a.do(a.request("POST", "/a", "hello"))
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	require.Equal(t, "hello", body)
	require.Equal(t, forward.Stats{Forwarded: 1, Declined: 3, Peers: 1}, a.Stats())

	behind.declines.Store(1 << 30)
	a.place(50*time.Millisecond, b.at(token))
	resp, body = a.do(a.request("POST", "/a", "hello"))
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Contains(t, body, "no host of this service is ready")
	require.EqualValues(t, 1, b.runs.Load())
}

// stateOf is a holder that serves one definition.
type stateOf struct{ definition atomic.Pointer[string] }

func (h *stateOf) serve(definition string) { h.definition.Store(&definition) }

func (h *stateOf) Holds(_ routekey.Key, definition string, _ registry.Generation) bool {
	return *h.definition.Load() == definition
}

func (h *stateOf) Later(routekey.Key, string, registry.Generation) registry.Generation { return 0 }

func (h *stateOf) Unable(routekey.Key) bool { return false }

// TestHoldersServeTheVersionBefore deploys twice while the holder still serves the version before. Once it has served the new one, it
// does not serve the other.
func TestHoldersServeTheVersionBefore(t *testing.T) {
	for _, own := range []bool{false, true} {
		const limit = 200 * time.Millisecond
		a, b := newHost(t, "a", nil), newHost(t, "b", echo)
		var holds stateOf
		b.Receiver().HoldBy(&holds)
		first := a.place(limit, b.at(token))
		next := func(before *forward.Placed, definition string, g registry.Generation) *forward.Placed {
			return a.Placed(forward.PlacedConfig{
				Service: registry.Service{Key: routekey.Key{Prefix: service}},
				State:   forward.State{Definition: definition, Generation: g},
				Before:  before.Served(),
				Own:     own,
			})
		}
		second := next(first, "e", 8)
		third := next(second, "f", 9)
		a.route(third)
		holds.serve("d")
		resp, body := a.do(a.request("POST", "/a", "hello"))
		require.Equal(t, http.StatusOK, resp.StatusCode, body)
		require.Equal(t, "hello", body)
		holds.serve("f")
		require.Equal(t, "b", a.servedBy("/a"))
		holds.serve("d")
		resp, body = a.do(a.request("GET", "/a", ""))
		require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, body)
	}
}

// reached is a holder that serves a definition since a generation, and has reached it.
type reached struct{ state atomic.Pointer[forward.State] }

func (h *reached) reach(definition string, g registry.Generation) {
	h.state.Store(&forward.State{Definition: definition, Generation: g})
}

func (h *reached) Holds(_ routekey.Key, definition string, g registry.Generation) bool {
	s := h.state.Load()
	return s.Generation >= g || s.Definition == definition
}

func (h *reached) Later(_ routekey.Key, definition string, g registry.Generation) registry.Generation {
	if s := h.state.Load(); s.Generation > g && s.Definition != definition {
		return s.Generation
	}
	return 0
}

func (h *reached) Unable(routekey.Key) bool { return false }

// TestNoHolderServesAnEarlierVersionThanAnother has two holders of which one gets changes first. The host that forwards gets them last, and
// an older one in between. Holders with a change during a request tell the new state.
func TestNoHolderServesAnEarlierVersionThanAnother(t *testing.T) {
	type state struct {
		definition string
		generation registry.Generation
	}
	a := newHost(t, "a", nil)
	var holds [2]reached
	var hosts [2]*host
	during := func() {}
	for i := range holds {
		holds[i].reach("d", 7)
		hosts[i] = newHost(t, "b", func(w http.ResponseWriter, _ *router.Request, _ *accesslog.Result) error {
			during()
			_, err := io.WriteString(w, holds[i].state.Load().Definition)
			return err
		})
		hosts[i].Receiver().HoldBy(&holds[i])
	}
	at := a.place(patience, hosts[0].at(token), hosts[1].at(token))
	sees := func(definitions string) {
		t.Helper()
		for range 6 {
			resp, body := a.do(a.request("GET", "/a", ""))
			require.Equal(t, http.StatusOK, resp.StatusCode, body)
			require.Contains(t, definitions, body)
			require.NotContains(t, resp.Header, "Vespo-Forward")
			definitions = definitions[strings.Index(definitions, body):]
		}
	}
	next := func(s state) {
		at = a.Placed(forward.PlacedConfig{
			Service: registry.Service{Key: routekey.Key{Prefix: service}},
			State:   forward.State{Definition: s.definition, Generation: s.generation},
			Before:  at.Served(),
		})
		a.route(at)
	}
	sees("d")
	holds[0].reach("e", 9)
	sees("de")
	sees("e")           // by the first alone
	next(state{"d", 8}) // the host has got a change of something else
	sees("e")
	holds[1].reach("f", 12)
	sees("ef")
	sees("f")
	next(state{"e", 9})
	sees("f")
	holds[0].reach("f", 12)
	next(state{"f", 12})
	sees("f")

	var once atomic.Bool
	during = func() {
		if once.CompareAndSwap(false, true) {
			holds[0].reach("g", 13)
			holds[1].reach("g", 14)
		}
	}
	sees("g")
	holds[0].reach("f", 12)
	sees("g")
}

// TestPlacedServicesComeBack lets a request wait for a holder until this host serves the service itself.
func TestPlacedServicesComeBack(t *testing.T) {
	a, b := newHost(t, "a", echo), newHost(t, "b", echo)
	asked := make(chan struct{}, 1)
	b.Receiver().HoldBy(heldBy(func() bool {
		select {
		case asked <- struct{}{}:
		default:
		}
		return false
	}))
	p := a.place(patience, b.at(token))
	own := a.router.Table()
	require.NotNil(t, own)
	go func() {
		<-asked
		a.publish(version)
		p.Retire()
	}()
	a.code.loaded.Store(true)
	resp, body := a.do(a.request("POST", "/a", "hello"))
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	require.Equal(t, "hello", body)
	require.Equal(t, "a", resp.Header.Get("Served-By"))
}

// heldBy is a holder of everything or of nothing.
type heldBy func() bool

func (h heldBy) Holds(routekey.Key, string, registry.Generation) bool { return h() }

func (h heldBy) Later(routekey.Key, string, registry.Generation) registry.Generation { return 0 }

func (h heldBy) Unable(routekey.Key) bool { return false }

func TestPlacedRequestsTakeOneHop(t *testing.T) {
	a, b := newHost(t, "a", nil), newHost(t, "b", nil)
	a.place(patience)
	resp, body := a.do(a.request("GET", "/a", ""))
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Contains(t, body, "no host that is up")
	receiver := b.Receiver()
	receiver.HoldBy(heldBy(func() bool { return true }))
	b.place(patience, a.at(token)) // it has lost the service since it was asked
	a.place(patience, b.at(token))
	receiver.ServeBy(b.router)
	resp, body = a.do(a.request("GET", "/a", ""))
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Contains(t, body, "moving to another host")
	require.EqualValues(t, 0, a.runs.Load()+b.runs.Load())
}

// broken is a holder that cannot prepare its services.
type broken struct{ heldBy }

func (broken) Unable(routekey.Key) bool { return true }

// TestHoldersThatCannotServe asks a host that cannot prepare the service, beside one that can, and alone. The answer does not wait for
// the time limit.
func TestHoldersThatCannotServe(t *testing.T) {
	a, b, c := newHost(t, "a", nil), newHost(t, "b", echo), newHost(t, "c", echo)
	b.Receiver().HoldBy(broken{func() bool { return true }})
	c.Receiver().HoldBy(heldBy(func() bool { return true }))
	a.place(patience, b.at(token), c.at(token))
	for range 4 {
		resp, body := a.do(a.request("POST", "/a", "hello"))
		require.Equal(t, http.StatusOK, resp.StatusCode, body)
		require.Equal(t, "hello", body)
		require.Equal(t, "c", resp.Header.Get("Served-By"))
	}
	a.place(time.Hour, b.at(token))
	resp, body := a.do(a.request("POST", "/a", "hello"))
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Contains(t, body, "problems/not-ready")
	require.EqualValues(t, 0, b.runs.Load())
}

// TestRequestsThatNoHolderServes are answered by the host itself, which gets their bodies. One that starts asks the others once.
func TestRequestsThatNoHolderServes(t *testing.T) {
	a, b := newHost(t, "a", nil), newHost(t, "b", nil)
	b.Receiver().HoldBy(heldBy(func() bool { return false }))
	for _, peers := range [][]*forward.Peer{nil, {b.at(token)}} {
		a.place(patience, peers...)
		a.route(a.Placed(forward.PlacedConfig{
			Service: registry.Service{Key: routekey.Key{Prefix: service}},
			State:   forward.State{Definition: "d", Generation: 7},
			Instead: router.HandlerFunc(echo),
			Once:    true,
		}))
		resp, body := a.do(a.request("POST", "/a", "hello"))
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "hello", body)
		require.Zero(t, a.Stats().Unserved)
	}
	require.EqualValues(t, 1, a.Stats().Declined)
}
