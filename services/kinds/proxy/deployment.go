package proxy

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/inflight"
)

// copyBytes is the size of the buffers through which response bodies are copied.
const copyBytes = 32 << 10

// deployment is one prepared version of a service. It implements services.Deployment.
type deployment struct {
	plan         *plan              // immutable
	balancer     *balancer          // immutable
	timeout      time.Duration      // immutable; until the response header
	maxBodyBytes int64              // immutable; request body
	buffers      *buffers           // immutable
	tunnels      *tunnels           // immutable; shared by all services
	requests     *inflight.Requests // immutable
}

func newDeployment(k *Kind, p *plan, timeout time.Duration) *deployment {
	d := &deployment{
		plan:         p,
		balancer:     &balancer{},
		timeout:      cmp.Or(timeout, k.cfg.Timeout),
		maxBodyBytes: k.cfg.MaxBodyBytes,
		buffers:      k.buffers,
		tunnels:      k.tunnels,
		requests:     inflight.New(),
	}
	for _, o := range p.upstreams {
		d.balancer.upstreams = append(d.balancer.upstreams, newUpstream(o, k.cfg.TLS))
	}
	return d
}

// Serve implements router.Handler.
func (d *deployment) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	switch {
	case r.ContentLength > d.maxBodyBytes:
		return client.TooLong(d.maxBodyBytes)
	case circular(r.Header):
		res.Outcome = accesslog.OutcomeBadAnswer
		return problem.New(problem.BadGateway, "the request goes round in circles: an upstream leads back to this server")
	}
	if d.plan.confined(r.Prefix) && climbs(r.Rest) {
		return problem.New(problem.BadRequest, `the path has an encoded ".." segment, which could lead its upstream out of the service; send the path that it resolves to`)
	}
	if err := d.requests.Begin(); err != nil {
		return err
	}
	defer d.requests.End()
	if asksUpgrade(r.Request) {
		release, err := d.tunnels.acquire(r.Context(), r.Client.Holder())
		if err != nil {
			return err
		}
		defer release()
	}
	x := newExchange(d, w, r, res)
	defer x.finish()
	return x.run()
}

// Status implements services.Deployment.
func (d *deployment) Status() services.Status {
	s := services.Status{State: services.StateReady, Target: d.target(), Upstreams: d.balancer.stats(time.Now())}
	used := d.requests.Stats()
	s.InFlight, s.LastUsed = used.InFlight, used.LastUsed
	return s
}

// target returns the list of upstreams, with those set aside marked.
func (d *deployment) target() string {
	aside := d.balancer.aside(time.Now())
	var names []string
	for _, u := range d.balancer.upstreams {
		name := u.origin.String()
		if slices.Contains(aside, u) {
			name += " (set aside)"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// Scale implements services.Deployment. Idle connections expire long before a service counts as idle.
func (d *deployment) Scale(context.Context, services.Scale) error {
	d.closeIdle()
	return nil
}

// Close implements services.Deployment.
func (d *deployment) Close(ctx context.Context) error {
	err := d.requests.Close(ctx)
	d.closeIdle()
	return err
}

func (d *deployment) closeIdle() {
	for _, u := range d.balancer.upstreams {
		u.closeIdle()
	}
}

// buffers pools the buffers through which response bodies are copied. It implements httputil.BufferPool.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[copyBytes]byte); ok {
		return p[:]
	}
	return make([]byte, copyBytes)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put((*[copyBytes]byte)(p)) }
