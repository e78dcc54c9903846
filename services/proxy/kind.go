package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/options"
)

// KindName is the kind's name in specs and catalogues.
const KindName = "proxy"

// MaxTimeout is the longest wait for an answer's header that a service may ask for.
const MaxTimeout = time.Hour

// Config says what the kind may use. Zero values stand for the defaults named.
type Config struct {
	Timeout      time.Duration // to an answer's header, for a service that asks for none; default 10 s
	MaxBodyBytes int64         // request body; default 10 MiB
	Tunnels      int           // connections that have switched protocols, of all services; default 1024
	TunnelIdle   time.Duration // after which one is closed on which nothing was sent; default 5 min
	TLS          *tls.Config   // for upstreams with https; default: certificates that the system trusts
}

// Kind implements services.Kind for reverse proxies. It holds nothing, and needs no Close.
type Kind struct {
	cfg     Config   // immutable
	buffers *buffers // immutable
	tunnels *tunnels // immutable
}

// New makes the kind.
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
	return &Kind{cfg: cfg, buffers: &buffers{}, tunnels: &tunnels{places: make(chan struct{}, cfg.Tunnels), idle: cfg.TunnelIdle}}
}

// Name implements services.Kind.
func (k *Kind) Name() string { return KindName }

// Validate implements services.Kind. Whether the upstreams are there is not asked: they may come and go.
func (k *Kind) Validate(s services.Spec) error {
	_, err := check(s)
	return err
}

// check gives the plan of a spec, or a problem with all that is wrong.
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
		violations = append(violations, fmt.Sprintf("the option timeout asks for %s, more than 0 and at most %s can be had", o.Timeout, MaxTimeout))
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
