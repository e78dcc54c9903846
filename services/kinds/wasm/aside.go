package wasm

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services/event/invocation"
)

// serveAside runs the guest on a goroutine of its own, so that the handler can return as soon as the response is complete: only
// then does the HTTP server end a chunked response or a stream of HTTP/2. A guest that goes on keeps its instance, and the
// request keeps its place and its version, until the guest ends or its deadline. The client's disconnect no longer ends it.
func (d *deployment) serveAside(in *engine.Instance, x *exchange, r *router.Request, res *accesslog.Result) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	over := make(chan departure, 1)
	var release func() // set if the guest goes on; used by its goroutine only
	x.Context = ctx
	x.Complete = func() {
		release = r.Keep()
		x.measure(in, res)
		res.ResidentBytes += int64(len(in.Memory()))
		x.leave()
		over <- departure{goesOn: true}
	}
	id := r.ID
	d.aside.Go(func() {
		growStack(0)
		out := contained(func() engine.Outcome { return d.server.Serve(in, &x.Exchange) })
		if release == nil {
			over <- departure{outcome: out}
			return
		}
		defer release()
		defer cancel()
		d.afterwards(in, x, out, id)
	})
	end := await(over, r.Context().Done(), cancel)
	if end.goesOn {
		return nil
	}
	cancel()
	return d.conclude(in, x, res, end.outcome)
}

// departure is the end of a guest's request: the guest has ended, or it goes on after its response.
type departure struct {
	goesOn  bool
	outcome engine.Outcome
}

// await returns the end of a request. A client that leaves before cancels the guest.
func await(over <-chan departure, left <-chan struct{}, cancel func()) departure {
	select {
	case end := <-over:
		return end
	case <-left:
	}
	select {
	case end := <-over:
		return end
	default:
	}
	cancel()
	return <-over
}

// stackBytes is a part of the stack that a guest's host functions need. The runtime doubles a stack, so it has twice as much.
const stackBytes = 7 << 10

// growStack grows the stack of a new goroutine at once. It would be grown in steps otherwise, each time with more frames to
// copy, which costs a quarter of a small request.
//
//go:noinline
func growStack(i uint) byte {
	var room [stackBytes]byte
	return room[i%stackBytes]
}

// contained runs a guest. A panic of the host ends the request only, and with it the instance: it is not lost.
func contained(run func() engine.Outcome) (out engine.Outcome) {
	defer func() {
		if v := recover(); v != nil {
			out = engine.Outcome{Kind: engine.HostError, Err: fmt.Errorf("panic: %v\n%s", v, debug.Stack())}
		}
	}()
	return run()
}

// afterwards takes the instance back from a guest that went on after its response. Its client has the response, so a
// failure is only logged.
func (d *deployment) afterwards(in *engine.Instance, x *exchange, out engine.Outcome, id string) {
	if out.Kind != engine.OK {
		d.log.Warn("a guest failed after its response was complete", slog.String(accesslog.FieldRequestID, id),
			slog.String("outcome", out.Kind.String()), slog.Any("error", out.Err))
	}
	in.TakeGuestTime()
	x.end()
	d.pool.Release(in, out.Kind == engine.OK)
}

// capturesLog reports whether the caller of an invocation reads what the guest logs. It reads as long as the handler runs.
func capturesLog(r *router.Request) bool {
	c := invocation.Of(r.Call)
	return c != nil && c.Log != nil
}

// Close implements services.Deployment.
func (d *deployment) Close(ctx context.Context) error {
	err := d.version.Close(ctx)
	if ctx.Err() == nil {
		d.aside.Wait() // soon: they have released their instances
	}
	return err
}
