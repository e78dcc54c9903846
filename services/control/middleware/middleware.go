// Package middleware combines middleware guests and the deployment behind them into one deployment.
package middleware

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
)

// MaxLength is the maximum number of middleware guests of a service. Each takes an
// instance for the duration of a request.
const MaxLength = 8

// Chain is a deployment behind middleware. It implements services.Deployment.
type Chain struct {
	layers []services.Middleware // immutable; outermost first
	last   services.Deployment   // immutable
	serve  router.Handler        // immutable; the outermost layer
}

// New returns a Chain of layers in front of last. The Chain owns them all.
func New(layers []services.Middleware, last services.Deployment) *Chain {
	c := &Chain{layers: layers, last: last, serve: last}
	for i := len(layers) - 1; i >= 0; i-- {
		c.serve = layer{position: i + 1, middleware: layers[i], next: c.serve}
	}
	return c
}

// Unwrap returns the deployment behind the middleware.
func (c *Chain) Unwrap() services.Deployment { return c.last }

// Serve implements router.Handler.
func (c *Chain) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	if upgrade := r.Header.Get("Upgrade"); upgrade != "" {
		if !strings.EqualFold(upgrade, "h2c") {
			return problem.Newf(problem.NotImplemented, "the service has middleware, through which no connection can be switched to %.40q", upgrade)
		}
		r.Header.Del("Upgrade") // the offer is optional
		r.Header.Del("Http2-Settings")
	}
	return c.serve.Serve(w, r, res)
}

// layer is one middleware with the handler behind it.
type layer struct {
	position   int // from 1
	middleware services.Middleware
	next       router.Handler
}

// named is implemented by middleware that knows the name of its module.
type named interface{ ModuleName() string }

// name returns the name of the middleware for errors: its position, and the first
// digits of its module's digest.
func (l layer) name() string {
	if n, ok := l.middleware.(named); ok {
		return fmt.Sprintf("middleware %d (module %s)", l.position, n.ModuleName())
	}
	return fmt.Sprintf("middleware %d", l.position)
}

// Serve implements router.Handler. It returns an error of the next handler unchanged, and adds the middleware's
// name to its own. A failure of the next handler is recorded even if the middleware has answered in its place.
func (l layer) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	r = r.Traced(span.Internal, "middleware")
	defer r.Span.End()
	r.Span.Number("vespo.middleware.position", int64(l.position))
	if n, ok := l.middleware.(named); ok {
		r.Span.Text("vespo.middleware.module", n.ModuleName())
	}
	var behind error
	var own accesslog.Result
	err := l.middleware.ServeBefore(w, r, res, router.HandlerFunc(
		func(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
			behind = router.Call(l.next, w, r, res)
			own = *res
			return behind
		}))
	if res.Outcome == "" && own.Outcome != "" {
		res.Outcome, res.Err = own.Outcome, cmp.Or(own.Err, behind)
	}
	if err == nil || behind != nil && errors.Is(err, behind) {
		return err
	}
	r.Span.Fail(string(cmp.Or(res.Outcome, accesslog.Outcome(problem.From(err).Kind()))))
	return fmt.Errorf("%s: %w", l.name(), err)
}

// Status implements services.Deployment. It returns the status of the deployment behind, with
// the memory and the warnings of all layers. In-flight requests and the last use are the maximum over all layers.
func (c *Chain) Status() services.Status {
	s := c.last.Status()
	for i, m := range c.layers {
		own := m.Status()
		for _, warning := range own.Warnings {
			s.Warnings = append(s.Warnings, fmt.Sprintf("middleware %d: %s", i+1, warning))
		}
		s.MemoryBytes += own.MemoryBytes
		s.SnapshotBytes += own.SnapshotBytes
		if own.LastUsed.After(s.LastUsed) {
			s.LastUsed = own.LastUsed
		}
		s.InFlight = max(s.InFlight, own.InFlight)
	}
	return s
}

// Retire implements services.Retirer.
func (c *Chain) Retire() {
	if r, ok := c.last.(services.Retirer); ok {
		r.Retire()
	}
}

// Forget implements services.Forgetter.
func (c *Chain) Forget() {
	_ = c.each(func(d services.Deployment) error {
		if f, ok := d.(services.Forgetter); ok {
			f.Forget()
		}
		return nil
	})
}

// CheckBeside implements services.Neighbour.
func (c *Chain) CheckBeside(others []services.Deployment) error {
	if n, ok := c.last.(services.Neighbour); ok {
		return n.CheckBeside(others)
	}
	return nil
}

// Scale implements services.Deployment.
func (c *Chain) Scale(ctx context.Context, to services.Scale) error {
	return c.each(func(d services.Deployment) error { return d.Scale(ctx, to) })
}

// Close implements services.Deployment.
func (c *Chain) Close(ctx context.Context) error {
	return c.each(func(d services.Deployment) error { return d.Close(ctx) })
}

// each calls f for all layers, outermost first, and then for the last deployment. It joins the errors.
func (c *Chain) each(f func(services.Deployment) error) error {
	var errs []error
	for _, m := range c.layers {
		errs = append(errs, f(m))
	}
	return errors.Join(append(errs, f(c.last))...)
}
