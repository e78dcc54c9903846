package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/schema"
)

// KindName is the kind's name in specs and catalogues.
const KindName = "proxy"

// MaxTimeout is the maximum of the timeout option, the wait for the response header.
const MaxTimeout = time.Hour

// Config configures the kind. Zero values select the defaults.
type Config struct {
	Timeout      time.Duration // until the response header, for services that set none; default 10 s
	MaxBodyBytes int64         // request body; default 10 MiB
	Tunnels      int           // maximum number of connections that have switched protocols, over all services; default 1024
	PerClient    int           // maximum number of these for one client; default Tunnels
	TunnelIdle   time.Duration // idle time after which a switched connection is closed; default 5 min
	TLS          *tls.Config   // for https upstreams; default: the certificates that the system trusts
}

// Kind implements services.Kind for reverse proxies. It holds no resources and needs no Close.
type Kind struct {
	cfg     Config   // immutable
	buffers *buffers // immutable
	tunnels *tunnels // immutable
}

// New returns the kind.
func New(cfg Config) *Kind {
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = 10 << 20
	}
	if cfg.TunnelIdle == 0 {
		cfg.TunnelIdle = defaultTunnelIdle
	}
	if cfg.Tunnels == 0 {
		cfg.Tunnels = defaultTunnels
	}
	shares := admission.NewShare[netip.Addr](cmp.Or(cfg.PerClient, cfg.Tunnels), 0, 0)
	return &Kind{cfg: cfg, buffers: &buffers{}, tunnels: &tunnels{places: make(chan struct{}, cfg.Tunnels), shares: shares, idle: cfg.TunnelIdle}}
}

// Describe implements services.Kind.
func (k *Kind) Describe() schema.Kind { return Description() }

// Validate implements services.Kind. It does not contact the upstreams: they may come and go.
func (k *Kind) Validate(s services.Spec) error {
	_, err := check(s)
	return err
}

// check returns the plan of a spec, or a problem that lists all violations.
func check(s services.Spec) (*plan, error) {
	d, err := Decode(s.Manifest)
	if err != nil {
		return nil, problem.New(problem.BadRequest, err.Error())
	}
	p, violations := d.plan()
	if err := problem.Invalid(problem.BadRequest, "the proxy is invalid", violations); err != nil {
		return nil, err
	}
	return p, nil
}

// Prepare implements services.Kind.
func (k *Kind) Prepare(_ context.Context, s services.Spec) (services.Deployment, error) {
	p, err := check(s)
	if err != nil {
		return nil, err
	}
	return newDeployment(k, p, schema.TimeoutOf(s.Manifest)), nil
}
