package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net/netip"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/options"
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

// Name implements services.Kind.
func (k *Kind) Name() string { return KindName }

// Validate implements services.Kind. It does not contact the upstreams: they may come and go.
func (k *Kind) Validate(s services.Spec) error {
	_, err := check(s)
	return err
}

// check returns the plan of a spec, or a problem that lists all violations.
func check(s services.Spec) (*plan, error) {
	var violations []string
	var p *plan
	d, err := Decode(s.Module)
	if err != nil {
		violations = append(violations, err.Error())
	} else {
		p, violations = d.plan()
	}
	o := s.Options
	if o.Timeout < 0 || o.Timeout > MaxTimeout {
		violations = append(violations, fmt.Sprintf("the option timeout is %s: it must be more than 0 and at most %s", o.Timeout, MaxTimeout))
	}
	o.Timeout = 0
	violations = append(violations, options.Refuse(o, "a proxy")...)
	if len(violations) == 0 {
		return p, nil
	}
	refused := problem.New(problem.BadRequest, "there can be no such proxy")
	refused.Violations = violations
	return nil, refused
}

// Prepare implements services.Kind.
func (k *Kind) Prepare(_ context.Context, s services.Spec) (services.Deployment, error) {
	p, err := check(s)
	if err != nil {
		return nil, err
	}
	return newDeployment(k, p, s.Options.Timeout), nil
}
