package redirect

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/schema"
)

// Kind implements services.Kind for redirects. It holds no resources and needs no Close.
type Kind struct{}

// New returns the kind.
func New() *Kind { return &Kind{} }

// Describe implements services.Kind.
func (*Kind) Describe() schema.Kind { return Description() }

// Validate implements services.Kind.
func (*Kind) Validate(s services.Spec) error {
	_, err := check(s)
	return err
}

// Prepare implements services.Kind.
func (*Kind) Prepare(_ context.Context, s services.Spec) (services.Deployment, error) {
	p, err := check(s)
	if err != nil {
		return nil, err
	}
	return &deployment{plan: p, requests: inflight.New()}, nil
}

// check returns the plan of a spec, or a problem that lists all violations.
func check(s services.Spec) (plan, error) {
	d, err := Decode(s.Manifest)
	if err != nil {
		return plan{}, problem.New(problem.BadRequest, err.Error())
	}
	p, violations := d.plan()
	return p, problem.Invalid(problem.BadRequest, "the redirect is invalid", violations)
}

// deployment is one prepared version of a service. It implements services.Deployment.
type deployment struct {
	plan     plan               // immutable
	requests *inflight.Requests // immutable
}

// Serve implements router.Handler.
func (d *deployment) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	if err := d.requests.Begin(); err != nil {
		return err
	}
	defer d.requests.End()
	location, err := d.plan.location(r)
	if err != nil {
		res.Outcome = accesslog.OutcomeRefused
		return err
	}
	res.Outcome = accesslog.OutcomeOK
	w.Header().Set("Location", location)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(d.plan.status())
	return nil
}

func (p plan) status() int {
	if p.Permanent {
		return http.StatusPermanentRedirect
	}
	return http.StatusTemporaryRedirect
}

// location returns the URL for a request.
func (p plan) location(r *router.Request) (string, error) {
	site, path := p.site, p.path
	if p.upgrade {
		host, err := secureHost(r)
		if err != nil {
			return "", err
		}
		site, path = "https://"+host, r.Client.Prefix+strings.TrimSuffix(r.URL.EscapedPath(), r.Rest)
	}
	if !p.DropPath && r.Rest != "" {
		path = strings.TrimRight(path, "/") + r.Rest
	}
	return site + local(path) + joined(p.query, p.queryOf(r)), nil
}

// local returns a path that begins with exactly one slash: a browser takes //host, and /\host, for another host.
func local(path string) string {
	return "/" + strings.ReplaceAll(strings.TrimLeft(path, `/\`), `\`, "%5C")
}

// queryOf returns the query of a request, unless it is left away.
func (p plan) queryOf(r *router.Request) string {
	if p.DropQuery {
		return ""
	}
	return r.URL.RawQuery
}

// joined returns the part of a URL from the question mark on, or nothing.
func joined(queries ...string) string {
	var given []string
	for _, q := range queries {
		if q != "" {
			given = append(given, q)
		}
	}
	if len(given) == 0 {
		return ""
	}
	return "?" + strings.Join(given, "&")
}

// secureHost returns the host of a request without its port, which is that of HTTP.
func secureHost(r *router.Request) (string, error) {
	if r.Client.Scheme == "https" {
		return "", problem.New(problem.NotFound, "no service is bound to this prefix over HTTPS: this one sends clients from HTTP to HTTPS")
	}
	host := r.Client.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
		if strings.Contains(name, ":") {
			host = "[" + name + "]"
		}
	}
	u, err := url.Parse("https://" + host)
	if err != nil || host == "" || u.Host != host {
		return "", problem.New(problem.BadRequest, "the request has no Host header that names a host")
	}
	return host, nil
}

// Status implements services.Deployment.
func (d *deployment) Status() services.Status {
	used := d.requests.Stats()
	target := d.plan.Target
	if d.plan.Permanent {
		target += " (permanent)"
	}
	return services.Status{Target: target, State: services.StateReady, InFlight: used.InFlight, LastUsed: used.LastUsed}
}

// Scale implements services.Deployment. There is nothing to release.
func (d *deployment) Scale(context.Context, services.Scale) error { return nil }

// Close implements services.Deployment.
func (d *deployment) Close(ctx context.Context) error { return d.requests.Close(ctx) }

// Inert implements services.Inert: requests have no effects.
func (*Kind) Inert() {}
