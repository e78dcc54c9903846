package forward

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/placement"
	"github.com/vespo-dev/vespo/services/schema"
)

// Pauses before the holders of a service are asked again.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = 200 * time.Millisecond
	noHostWait = 2 * time.Second // Retry-After
)

// Placed serves the requests to a service that other hosts have: it forwards them. It implements router.Handler.
type Placed struct {
	target
	placement placement.Placement // immutable
	own       bool                // this host has made the last change
	instead   router.Handler      // immutable: answers what no other host serves; nil: no-host
	once      bool                // the holders are asked once before instead
	turn      atomic.Uint32       // rotates the holders
	retired   chan struct{}       // closed by Retire

	// before is the state that holders may serve until one has the new one; nil: none.
	before atomic.Pointer[State]
	// later is what a holder has served and this host does not know yet; nil: nothing. No holder may serve an earlier state.
	later atomic.Pointer[later]
}

// later is a generation that a holder has served the service as of.
type later struct {
	generation registry.Generation
	seen       time.Time
}

// laterTime is for how long a later generation counts after it was served last. A store that was restored from a backup begins with
// an earlier one again.
const laterTime = time.Minute

// State identifies how a service is served.
type State struct {
	Definition string              // changes with each version, and with the division of requests; "": not known
	Generation registry.Generation // from which this host knows it
}

// PlacedConfig configures a Placed.
type PlacedConfig struct {
	Service registry.Service
	State   State
	// Before is the state that holders may serve while they prepare State; nil: none. They are asked for it at once, or after
	// half of the time limit with Own.
	Before *State
	Own    bool // this host has made the change
	// Instead answers the requests that no other host serves: this one is a holder, but cannot serve the service itself. Nil: they
	// are refused.
	Instead router.Handler
	Once    bool // Instead serves the request soon: the other holders are asked once
}

// Placed returns the handler of a service that this host does not serve itself. A holder with another definition serves the request
// if it knows the generation.
func (f *Forwarder) Placed(cfg PlacedConfig) *Placed {
	service, state := cfg.Service, cfg.State
	limit := cmp.Or(schema.TimeoutOf(service.Current.Manifest), f.cfg.Timeout)
	p := &Placed{
		target: target{
			Forwarder:  f,
			key:        service.Key,
			service:    service.Key.String(),
			version:    state.Definition,
			placed:     true,
			generation: state.Generation,
			limit:      func() time.Duration { return limit },
			waits:      limit + f.cfg.Wait, // it may have to start the service, and waits for capacity
		},
		placement: placement.Of(service.Current.Manifest),
		own:       cfg.Own,
		instead:   cfg.Instead,
		once:      cfg.Once,
		retired:   make(chan struct{}),
	}
	switch before := cfg.Before; {
	case before == nil || *before == state:
	case before.Generation > state.Generation:
		p.learn(before.Generation)
	default:
		p.before.Store(before)
	}
	p.answered = p.newest
	return p
}

// newest notes that a holder has served the newest state that this host knows, or one as of a later generation.
func (p *Placed) newest(g registry.Generation) {
	p.before.Store(nil)
	p.learn(g)
}

// learn notes that a holder has served the service as of a generation.
func (p *Placed) learn(g registry.Generation) {
	now := time.Now()
	for g > p.generation {
		known := p.later.Load()
		if known != nil && (known.generation > g || known.generation == g && now.Sub(known.seen) < laterTime/16) ||
			p.later.CompareAndSwap(known, &later{g, now}) {
			return
		}
	}
}

// Ahead returns the generation of an answer of another host that is later than the one that this host knows the service from; 0: there
// is none.
func (p *Placed) Ahead() registry.Generation {
	if known := p.later.Load(); known != nil && time.Since(known.seen) < laterTime {
		return known.generation
	}
	return 0
}

// wanted returns the target for the newest state that is known.
func (p *Placed) wanted() *target {
	g := p.Ahead()
	if g == 0 {
		return &p.target
	}
	t := p.target
	t.version, t.generation = "", g // its definition is not known
	t.answered = func(served registry.Generation) { p.newest(max(g, served)) }
	return &t
}

// earlier returns the target for the state before.
func (p *Placed) earlier(before *State) *target {
	t := p.target
	t.version, t.generation, t.answered = before.Definition, before.Generation, p.learn
	return &t
}

// Served returns the state that a holder serves at least.
func (p *Placed) Served() *State {
	if g := p.Ahead(); g != 0 {
		return &State{Generation: g}
	}
	if before := p.before.Load(); before != nil {
		return before
	}
	return &State{Definition: p.version, Generation: p.generation}
}

// Retire ends the wait of requests for a holder: the router looks them up again.
func (p *Placed) Retire() { close(p.retired) }

// Hosts returns the addresses of the hosts that are asked first, separated by commas.
func (p *Placed) Hosts() string {
	all, equal := p.cfg.Holders(p.service, p.placement)
	names := make([]string, 0, equal)
	for _, peer := range all[:equal] {
		names = append(names, peer.cfg.Address)
	}
	return strings.Join(names, ", ")
}

// outcome is that of one attempt to forward a request.
type outcome int

const (
	ended     outcome = iota // a holder has served the request, or may have
	declined                 // the holder has not begun it
	unable                   // the holder cannot prepare the service
	unreached                // there was no connection
)

// Serve implements router.Handler.
func (p *Placed) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	served, err := p.serve(w, r, res)
	switch {
	case served:
		return err
	case p.instead != nil:
		return p.instead.Serve(w, r, res)
	}
	p.unserved.Add(1)
	return err
}

// serve has a holder serve the request. It reports false, with the answer, if nothing of it was read and none has.
func (p *Placed) serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) (served bool, err error) {
	switch {
	case r.Passed: // one hop at most: this host has lost the service meanwhile
		return false, noHost("the service is moving to another host; try again")
	case !r.Movable():
		return false, noHost("the service is on other hosts, and requests of this host itself, such as those of other services, do not reach it")
	case strings.HasPrefix(r.URL.EscapedPath(), "//") || strings.HasPrefix(r.RequestURI, "//"):
		return false, problem.New(problem.BadRequest, "the path begins with //, which the hosts of this service cannot be asked for")
	}
	began := time.Now()
	until, earlier := began.Add(p.limit()), began
	if p.own {
		earlier = began.Add(p.limit() / 2)
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		got, err := p.round(p.wanted(), w, r, res)
		if before := p.before.Load(); got == declined && before != nil && !time.Now().Before(earlier) {
			got, err = p.round(p.earlier(before), w, r, res)
		}
		if got != declined {
			return got == ended, err
		}
		if p.once || time.Now().After(until) {
			return false, noHost("no host of this service is ready; try again")
		}
		if err := p.rest(r.Context(), pause); err != nil {
			return true, err
		}
	}
}

// rest waits before the next round. It returns an error if the request or the route has ended.
func (p *Placed) rest(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.retired:
		return router.ErrAgain
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// round asks each holder once for the state of a target. If none has served the request, it returns declined if another round
// may help, and otherwise the answer.
func (p *Placed) round(t *target, w http.ResponseWriter, r *router.Request, res *accesslog.Result) (outcome, error) {
	all, equal := p.cfg.Holders(p.service, p.placement)
	if len(all) == 0 {
		return unreached, noHost("no host that is up can serve this service")
	}
	best := unreached
	for _, peer := range p.ordered(all, equal) {
		got, err := p.attempt(t, peer, w, r, res)
		if got == ended {
			return ended, err
		}
		best = min(best, got)
		if r.Context().Err() != nil {
			return ended, context.Cause(r.Context())
		}
	}
	switch best {
	case declined:
		return declined, nil
	case unable:
		return unable, problem.New(problem.NotReady, "the hosts of this service could not start it; its operator can deploy it anew, roll it back or remove it")
	}
	return unreached, noHost("no host of this service can be reached")
}

// ordered returns the peers with the first equal ones rotated, and those last that have failed a moment ago.
func (p *Placed) ordered(all []*Peer, equal int) []*Peer {
	order, aside := make([]*Peer, 0, len(all)), []*Peer(nil)
	now, turn := time.Now(), int(p.turn.Add(1))
	for i := range all {
		peer := all[i]
		if i < equal {
			peer = all[(i+turn)%equal]
		}
		if peer.usable(now) {
			order = append(order, peer)
		} else {
			aside = append(aside, peer)
		}
	}
	return append(order, aside...)
}

// attempt forwards a request to one peer.
func (p *Placed) attempt(t *target, peer *Peer, w http.ResponseWriter, r *router.Request, res *accesslog.Result) (outcome, error) {
	x := newExchange(t, peer, w, r)
	if x == nil {
		return ended, problem.New(problem.HeaderTooLarge, "the header of the request is too large for the hosts of this service")
	}
	defer x.finish()
	switch err := x.run(); {
	case err == nil:
		p.forwarded.Add(1)
		router.Relayed(res)
		return ended, nil
	case x.declined && x.untouched():
		p.Forwarder.declined.Add(1)
		if x.unable {
			return unable, nil
		}
		return declined, nil
	case x.isUnreached():
		p.Forwarder.unreached.Add(1)
		peer.failed(time.Now())
		return unreached, nil
	default:
		p.failed.Add(1)
		return ended, x.failure(res, err)
	}
}

func noHost(detail string) error {
	refusal := problem.New(problem.NoHost, detail)
	refusal.RetryAfter = noHostWait
	return refusal
}
