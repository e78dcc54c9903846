package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	hosts "github.com/vespo-dev/vespo/services/placement"
	"github.com/vespo-dev/vespo/services/schema"
)

// Hosts are the hosts of a common catalogue. Services with a placement are on some of them.
type Hosts interface {
	// Holds reports whether this host serves a service with a placement itself.
	Holds(service string, p hosts.Placement) bool
	// Fits reports whether a host that is up can serve it.
	Fits(p hosts.Placement) bool
	// PassOn returns the handler of a service that this host does not serve itself; nil: there are no other hosts.
	PassOn(s registry.Service, k Known) Elsewhere
}

// Known is what this host knows of a service that others serve.
type Known struct {
	State
	Before Elsewhere // the handler that is replaced; nil: there is none
	Here   *State    // the state that this host has served itself, and that is replaced; nil: none
	Own    bool      // the change was made by this host, whose clients expect to see it
	// Instead answers the requests that no other host serves, if this one should serve the service, too. Nil: they are refused.
	Instead router.Handler
	Soon    bool // Instead serves them as soon as the service is prepared
}

// State identifies how a service is served.
type State struct {
	Definition string              // changes with each version, and with the division of requests
	Generation registry.Generation // from which it is known
}

// Elsewhere passes requests to other hosts.
type Elsewhere interface {
	router.Handler
	// Retire is called once, when requests are not routed to it any more.
	Retire()
	// Hosts returns the addresses of these hosts as text.
	Hosts() string
	// Ahead returns the generation of an answer that is later than Known.Generation; 0: there was none.
	Ahead() registry.Generation
}

// holds reports whether this host serves a service itself.
func (d *Deployer) holds(s registry.Service) bool {
	if d.cfg.Hosts == nil {
		return true
	}
	p := hosts.Of(s.Current.Manifest)
	return p.IsZero() || d.cfg.Hosts.Holds(s.Key.String(), p)
}

// checkPlacement returns the violations of a spec's placement. A configuration file is read before other hosts are up, so the
// hosts for its services need not be.
func (d *Deployer) checkPlacement(spec services.Spec) problem.Violations {
	violations := hosts.Check(spec.Manifest)
	p := hosts.Of(spec.Manifest)
	if p.IsZero() || len(violations) > 0 {
		return violations
	}
	field := schema.FieldReplicas
	if len(p.On) > 0 {
		field = schema.FieldOn
	}
	switch {
	case d.cfg.Hosts == nil:
		violations.Add(field, "needs a catalogue that several hosts share: this server has no --store")
	case spec.Origin != registry.OriginFile && !d.cfg.Hosts.Fits(p):
		violations.Add(field, "is %s: no host that is up has these labels; vespo hosts lists them", strings.Join(p.On, ", "))
	}
	return violations
}

// awayFrom returns the live versions of a service that this host does not serve itself, as of a generation. own tells whether this
// host has made the change.
func (d *Deployer) awayFrom(s registry.Service, g registry.Generation, own bool) (all []*live) {
	known := d.known(s, g)
	known.Own = own
	for _, n := range s.Live() {
		to := d.cfg.Hosts.PassOn(s, known)
		l := &live{service: only(s, n), deployment: away{to}, since: time.Now(), away: true, relays: true, stop: make(chan struct{}, 1)}
		l.setRoute(d.admit(l, to)) // a request is counted by the host that gets it from its client
		all = append(all, l)
	}
	return all
}

// known returns what this host knows of a service as of a generation, and of the state that it serves until then.
func (d *Deployer) known(s registry.Service, g registry.Generation) Known {
	k := Known{State: State{Definition: definitionOf(s), Generation: g}}
	served := d.placementAt(s.Key)
	if served == nil {
		return k
	}
	switch to := served.all[0].deployment.(type) {
	case away:
		k.Before = to.to
	case standIn:
		k.Before = to.to
	default:
		if served.all[0].startup == nil && !served.failed() {
			k.Here = &State{Definition: definitionOf(served.service), Generation: served.generation}
		}
	}
	return k
}

// standInFor returns the Deployment of a version of s that is to be served here, and is not at present: other hosts serve its
// requests, and own answers the rest. It returns nil if no other host has the service.
func (d *Deployer) standInFor(s registry.Service, g registry.Generation, own refusal, soon router.Handler) services.Deployment {
	if d.cfg.Hosts == nil || hosts.Of(s.Current.Manifest).IsZero() {
		return nil
	}
	k := d.known(s, g)
	k.Instead = own
	if soon != nil {
		k.Instead, k.Soon = soon, true
	}
	to := d.cfg.Hosts.PassOn(s, k)
	if to == nil {
		return nil
	}
	return standIn{refusal: own, to: to}
}

// standIn is a refusal whose requests other hosts serve, if one can.
type standIn struct {
	refusal
	to Elsewhere
}

// Serve passes the request on.
func (s standIn) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	return s.to.Serve(w, r, res)
}

// Retire implements services.Retirer.
func (s standIn) Retire() { s.to.Retire() }

// onlyMoves reports whether a version is served by other hosts, before and after a transaction, and differs from the one before in
// its placement alone. It need not be prepared here, unless it has to answer smoke requests.
func (d *Deployer) onlyMoves(t *transaction, s registry.Service) bool {
	served := d.placementAt(s.Key)
	if !served.away() || d.holds(s) || len(t.smoke[s.Key]) > 0 {
		return false
	}
	before, v := served.service.Current, s.Current
	if !hosts.EqualBut(v.Manifest, before.Manifest) {
		return false
	}
	v.Manifest = before.Manifest
	return v.SameContent(before)
}

// definitionOf identifies how a service is served: its versions that get requests, and their shares.
func definitionOf(s registry.Service) string {
	h := sha256.New()
	for _, n := range s.Live() {
		v, _ := s.Numbered(n)
		fmt.Fprintln(h, v.Number, v.Generation, v.ContentDigest())
	}
	fmt.Fprintf(h, "%#v %#v", s.Split, s.Mirror)
	return hex.EncodeToString(h.Sum(nil))
}

// Holds reports whether this host serves a service itself, by a definition or as of a generation or a later one. Requests that
// are routed afterwards meet this or a later state.
func (d *Deployer) Holds(key routekey.Key, definition string, g registry.Generation) bool {
	d.mu.Lock()
	p, at := d.live[key], d.reached
	if _, behind := d.behind[key]; p == nil || behind || at < p.generation {
		at = 0
	}
	d.mu.Unlock()
	if p == nil || p.away() {
		return false
	}
	return max(at, p.generation) >= g || definitionOf(p.service) == definition
}

// Later returns the generation from which this host serves a service itself by another definition, if that is after g, else 0.
func (d *Deployer) Later(key routekey.Key, definition string, g registry.Generation) registry.Generation {
	p := d.placementAt(key)
	if p == nil || p.away() || p.generation <= g || definitionOf(p.service) == definition {
		return 0
	}
	return p.generation
}

// Unable reports whether this host is to serve a service itself, and cannot prepare any of its versions.
func (d *Deployer) Unable(key routekey.Key) bool {
	p := d.placementAt(key)
	return p != nil && !slices.ContainsFunc(p.all, func(l *live) bool { return l.problem == nil })
}

// Away reports whether other hosts alone serve a service.
func (d *Deployer) Away(key routekey.Key) bool { return d.placementAt(key).away() }

// away reports whether other hosts alone serve the service.
func (p *placement) away() bool { return p != nil && p.all[0].away }

// ahead reports whether other hosts, which alone serve the service, have answered by a later state than that of a generation. A host
// that is to serve it passes requests on until it has that state, so that its clients get no earlier one.
func (p *placement) ahead(g registry.Generation) bool {
	return p.away() && p.all[0].deployment.(away).to.Ahead() > g
}

// away is the Deployment of a version that other hosts alone serve.
type away struct{ to Elsewhere }

// Serve passes the request on.
func (a away) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	return a.to.Serve(w, r, res)
}

// Status returns the state and the hosts.
func (a away) Status() services.Status {
	return services.Status{State: services.StateElsewhere, Target: a.to.Hosts()}
}

// Scale does nothing.
func (a away) Scale(context.Context, services.Scale) error { return nil }

// Retire implements services.Retirer.
func (a away) Retire() { a.to.Retire() }

// Close does nothing.
func (a away) Close(context.Context) error { return nil }
