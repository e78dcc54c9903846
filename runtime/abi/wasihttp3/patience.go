package wasihttp3

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
)

// patience ends an outbound call when a timeout of its guest has passed. A nil patience has no limits.
type patience struct {
	cancel  context.CancelFunc // ends the call
	between time.Duration      // from one read of its body until more has arrived; 0: no limit
	timer   *time.Timer        // nil if no limit counts
	passed  atomic.Bool        // a limit has passed
}

// newPatience returns the limits of options, and the context of the call.
func newPatience(ctx context.Context, o *options) (context.Context, *patience) {
	if o == nil {
		return ctx, nil
	}
	connect, first, between := o.timeouts[0].duration(), o.timeouts[1].duration(), o.timeouts[2].duration()
	if first == 0 && between == 0 {
		return ctx, nil
	}
	p := &patience{between: between}
	if ctx, p.cancel = context.WithCancel(ctx); first > 0 {
		p.start(connect+first, nil)
	}
	return ctx, p
}

// duration returns a limit, or 0 for none. A limit of nothing is one that has passed.
func (d optionalDuration) duration() time.Duration {
	if !d.some {
		return 0
	}
	return time.Duration(min(max(d.ns, 1), math.MaxInt64/2))
}

// start replaces the limit in progress. The new one has no effect if arrived is closed by then.
func (p *patience) start(limit time.Duration, arrived <-chan struct{}) {
	p.pause()
	p.timer = time.AfterFunc(limit, func() {
		if arrived == nil || !closed(arrived) {
			p.passed.Store(true)
			p.cancel()
		}
	})
}

func (p *patience) pause() {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
}

// progress begins to wait for more of a body.
func (p *patience) progress(source abi.Source) {
	if p == nil {
		return
	}
	if p.pause(); p.between > 0 {
		p.start(p.between, source.Ready())
	}
}

// stop ends the limits, and the call.
func (p *patience) stop() {
	if p != nil {
		p.pause()
		p.cancel()
	}
}

// failure returns the error-code of a call that has failed, if the reason is a limit, and f otherwise.
func (p *patience) failure(f *failure) *failure {
	if p != nil && p.passed.Load() {
		return &failure{code: httptypes.ConnectionReadTimeout}
	}
	return f
}
