package function

import (
	"cmp"
	"context"
	"net/http"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/internal/inflight"
	"github.com/vespo-dev/vespo/services/schema"
)

// deployment is one prepared version of a service. It implements services.Deployment.
type deployment struct {
	kind     *Kind              // immutable
	name     string             // immutable; of the function
	arn      string             // immutable; of the function, with the version if published
	timeout  time.Duration      // immutable; of one invocation
	backend  backend            // immutable
	held     budget.Account     // immutable; bytes held by requests of the service
	requests *inflight.Requests // immutable
	release  func()             // immutable; called once the backend is closed
}

func newDeployment(k *Kind, s services.Spec, b backend) *deployment {
	name, version := arn.Of(s.Key.String())
	if version == arn.Latest {
		version = ""
	}
	return &deployment{
		kind:     k,
		name:     name,
		arn:      arn.Format(name, version),
		timeout:  cmp.Or(schema.TimeoutOf(s.Manifest), k.cfg.Timeout),
		backend:  b,
		held:     k.budget.For(s.Key.String()),
		requests: inflight.New(),
		release:  func() {},
	}
}

// Serve implements router.Handler.
func (d *deployment) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	if err := d.requests.Begin(); err != nil {
		return err
	}
	defer d.requests.End()
	x := newExchange(d, client.NewWriter(w, r.Request, d.requests.Context()), r, res)
	defer x.finish()
	return x.run()
}

// Status implements services.Deployment.
func (d *deployment) Status() services.Status {
	s := services.Status{State: d.backend.state(), Target: d.backend.describe(), Warm: d.backend.warm()}
	used := d.requests.Stats()
	s.InFlight, s.LastUsed = used.InFlight, used.LastUsed
	return s
}

// Scale implements services.Deployment.
func (d *deployment) Scale(context.Context, services.Scale) error {
	d.backend.scale()
	return nil
}

// Close implements services.Deployment.
func (d *deployment) Close(ctx context.Context) error {
	err := d.requests.Close(ctx)
	d.backend.close()
	d.release()
	return err
}
