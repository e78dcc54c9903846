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
	turn      atomic.Uint32       // rotates the holders
	retired   chan struct{}       // closed by Retire
}

// Placed returns the handler of a service that this host does not serve itself, with its definition and the generation from
// which this host knows it. A holder with another definition serves the request if it knows that generation.
func (f *Forwarder) Placed(service registry.Service, definition string, g registry.Generation) *Placed {
	limit := cmp.Or(schema.TimeoutOf(service.Current.Manifest), f.cfg.Timeout)
	return &Placed{
		target: target{
			Forwarder:  f,
			key:        service.Key,
			service:    service.Key.String(),
			version:    definition,
			placed:     true,
			generation: g,
			limit:      func() time.Duration { return limit },
			waits:      limit + f.cfg.Wait, // it may have to start the service, and waits for capacity
		},
		placement: placement.Of(service.Current.Manifest),
		retired:   make(chan struct{}),
	}
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
	unreached                // there was no connection
)

// Serve implements router.Handler.
func (p *Placed) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	switch {
	case r.Passed: // one hop at most: this host has lost the service meanwhile
		return p.refuse("the service is moving to another host; try again")
	case !r.Movable():
		return p.refuse("the service is on other hosts, and requests of this host itself, such as those of other services, do not reach it")
	case strings.HasPrefix(r.URL.EscapedPath(), "//") || strings.HasPrefix(r.RequestURI, "//"):
		return problem.New(problem.BadRequest, "the path begins with //, which the hosts of this service cannot be asked for")
	}
	until := time.Now().Add(p.limit())
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		again, err := p.round(w, r, res)
		if !again {
			return err
		}
		if time.Now().After(until) {
			return p.refuse("no host of this service is ready; try again")
		}
		if err := p.rest(r.Context(), pause); err != nil {
			return err
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

// round asks each holder once. It reports whether another round may help.
func (p *Placed) round(w http.ResponseWriter, r *router.Request, res *accesslog.Result) (again bool, err error) {
	all, equal := p.cfg.Holders(p.service, p.placement)
	if len(all) == 0 {
		return false, p.refuse("no host that is up can serve this service")
	}
	asked := 0
	for _, peer := range p.ordered(all, equal) {
		switch got, err := p.attempt(peer, w, r, res); got {
		case ended:
			return false, err
		case declined:
			asked++
		}
		if r.Context().Err() != nil {
			return false, context.Cause(r.Context())
		}
	}
	if asked > 0 {
		return true, nil
	}
	return false, p.refuse("no host of this service can be reached")
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
func (p *Placed) attempt(peer *Peer, w http.ResponseWriter, r *router.Request, res *accesslog.Result) (outcome, error) {
	x := newExchange(&p.target, peer, w, r)
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
		return declined, nil
	case !x.connected.Load() && x.untouched() && x.ctx.Err() == nil:
		p.Forwarder.unreached.Add(1)
		peer.failed(time.Now())
		return unreached, nil
	default:
		p.failed.Add(1)
		return ended, x.failure(res, err)
	}
}

func (p *Placed) refuse(detail string) error {
	p.unserved.Add(1)
	refusal := problem.New(problem.NoHost, detail)
	refusal.RetryAfter = noHostWait
	return refusal
}
