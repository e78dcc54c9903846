package deploy

import (
	"context"
	"fmt"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services"
)

// preparation is the outcome of a Kind's Prepare.
type preparation struct {
	deployment services.Deployment
	err        error
}

// prepare runs the kind's Prepare, for a deploy or at start. If guests are compiled, it takes one of the
// PrepareParallel turns. It returns at once when ctx, PrepareTimeout or the Deployer ends, even if the kind
// does not return. A deployment that is prepared after that is closed. Its turn is held until then, so that
// the number of compilations stays bounded.
func (d *Deployer) prepare(ctx context.Context, p patience, spec services.Spec) (services.Deployment, error) {
	kind, ok := d.kinds[spec.Kind]
	if !ok {
		return nil, fmt.Errorf("%w: there is no kind of service called %q", ErrInvalid, spec.Kind)
	}
	release, err := d.turn(ctx, p, spec)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.PrepareTimeout)
	defer cancel()
	defer context.AfterFunc(d.closing, cancel)()
	if ctx.Err() != nil { // do not call Prepare in vain
		release()
		return nil, d.gaveUp(ctx)
	}
	done := make(chan preparation) // unbuffered: a result that is not received is closed by its goroutine
	d.preparing.Go(func() {
		defer release()
		r := d.runPrepare(ctx, kind, spec)
		select {
		case done <- r:
		case <-ctx.Done():
			d.closeUnpublished(spec.Key, r.deployment)
		}
	})
	select {
	case r := <-done:
		if r.err != nil && d.closing.Err() != nil {
			return nil, errClosing()
		}
		return r.deployment, r.err
	case <-ctx.Done():
		return nil, d.gaveUp(ctx)
	}
}

// gaveUp returns the error of a preparation whose context has ended.
func (d *Deployer) gaveUp(ctx context.Context) error {
	if d.closing.Err() != nil {
		return errClosing()
	}
	return context.Cause(ctx)
}

// runPrepare prepares the service and its middleware.
func (d *Deployer) runPrepare(ctx context.Context, kind services.Kind, spec services.Spec) (r preparation) {
	r.err = guarded(ctx, d.log, "prepare", func() (err error) {
		r.deployment, err = kind.Prepare(ctx, spec.OfKind())
		return err
	})
	if r.err == nil && r.deployment != nil && len(spec.Middleware()) > 0 {
		r.deployment, r.err = d.prepareMiddleware(ctx, spec, r.deployment)
	}
	switch {
	case r.err != nil:
		r.deployment = nil
	case r.deployment == nil:
		r.err = fmt.Errorf("kind %q prepared nothing and returned no error", spec.Kind)
	}
	return r
}

// turn waits for a turn to compile. Kinds with their own admission have no guests and need none.
func (d *Deployer) turn(ctx context.Context, p patience, spec services.Spec) (release func(), err error) {
	if _, guestless := d.cfg.Admission[spec.Kind]; guestless && len(spec.Middleware()) == 0 {
		return func() {}, nil
	}
	release = func() { <-d.turns }
	select {
	case d.turns <- struct{}{}:
		return release, nil
	default:
	}
	err = d.wait(p, func() error {
		select {
		case d.turns <- struct{}{}:
			return nil
		case <-d.closing.Done():
			return errClosing()
		case <-ctx.Done():
			return asProblem("wait for the deploys before this one", context.Cause(ctx))
		}
	})
	if err != nil {
		return nil, err
	}
	return release, nil
}

// closeUnpublished closes a deployment that was never in a table; nil is ignored.
func (d *Deployer) closeUnpublished(key routekey.Key, deployment services.Deployment) {
	if deployment == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.cfg.CloseTimeout)
	defer cancel()
	if err := guarded(ctx, d.log, "close", func() error { return deployment.Close(ctx) }); err != nil {
		d.log.Error("closing a deployment that was not published failed", "prefix", key, "error", err)
	}
}
