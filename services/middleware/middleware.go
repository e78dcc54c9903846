// Package middleware puts guests in front of a deployment and makes one deployment of them all.
package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/problem"
	"github.com/vespo-dev/vespo/services"
)

// MaxLength is how many guests can be in front of a service. Each takes an instance for as long as a request lasts.
const MaxLength = 8

// Chain is a deployment behind middleware. It implements services.Deployment.
type Chain struct {
	layers []services.Middleware // immutable; the outermost first
	last   services.Deployment   // immutable
	serve  router.Handler        // immutable; the outermost layer in front of the others
}

// New makes one deployment of all, which it owns from now on.
func New(layers []services.Middleware, last services.Deployment) *Chain {
	c := &Chain{layers: layers, last: last, serve: last}
	for i := len(layers) - 1; i >= 0; i-- {
		c.serve = layer{position: i + 1, middleware: layers[i], next: c.serve}
	}
	return c
}

// Unwrap gives the deployment that the middleware is in front of.
func (c *Chain) Unwrap() services.Deployment { return c.last }

// Serve implements router.Handler.
func (c *Chain) Serve(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) error {
	if upgrade := r.Header.Get("Upgrade"); upgrade != "" {
		if !strings.EqualFold(upgrade, "h2c") {
			return problem.Newf(problem.NotImplemented, "the service has middleware, through which no connection can be switched to %.40q", upgrade)
		}
		r.Header.Del("Upgrade") // an offer that a server may leave alone
		r.Header.Del("Http2-Settings")
	}
	return c.serve.Serve(w, r, rec)
}

// layer is one middleware with what is behind it.
type layer struct {
	position   int // from 1
	middleware services.Middleware
	next       router.Handler
}

// named is implemented by middleware that knows which module it is.
type named interface{ ModuleName() string }

// name returns how errors name the middleware: its position, and the first digits of its module's digest.
func (l layer) name() string {
	if n, ok := l.middleware.(named); ok {
		return fmt.Sprintf("middleware %d (module %s)", l.position, n.ModuleName())
	}
	return fmt.Sprintf("middleware %d", l.position)
}

// Serve implements router.Handler. An error of the next handler is returned as it is; one of the middleware itself names it.
func (l layer) Serve(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) error {
	var behind error
	err := l.middleware.ServeBefore(w, r, rec, router.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request, rec *accesslog.Record) error {
			behind = router.Call(l.next, w, r, rec)
			return behind
		}))
	if err == nil || behind != nil && errors.Is(err, behind) {
		return err
	}
	return fmt.Errorf("%s: %w", l.name(), err)
}

// Status implements services.Deployment: what the deployment behind tells, with the memory of all and the requests in the outermost.
func (c *Chain) Status() services.Status {
	s := c.last.Status()
	for _, m := range c.layers {
		own := m.Status()
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

// each calls f with all, the outermost first, whatever fails.
func (c *Chain) each(f func(services.Deployment) error) error {
	var errs []error
	for _, m := range c.layers {
		errs = append(errs, f(m))
	}
	return errors.Join(append(errs, f(c.last))...)
}
