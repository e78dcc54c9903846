package wasm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/egress/outbound"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/schema"
)

// FunctionKindName is the name of the kind that Functions returns.
const FunctionKindName = "wasm-function"

// Functions implements services.RunnerKind for modules that are functions. It shares all
// resources with the kind that it comes from, and is closed with it.
type Functions struct {
	kind *Kind // immutable
}

// Functions returns the kind for modules that are functions.
func (k *Kind) Functions() *Functions { return &Functions{k} }

// Describe implements services.RunnerKind.
func (f *Functions) Describe() schema.Kind { return FunctionDescription() }

// Validate implements services.RunnerKind.
func (f *Functions) Validate(s services.Spec) error { return validate(f.kind, s, f.kind.runners, true) }

// PrepareRunner implements services.RunnerKind.
func (f *Functions) PrepareRunner(ctx context.Context, s services.Spec) (services.Runner, error) {
	module, speaks, err := detectIn(ctx, f.kind, s, f.kind.runners)
	if err != nil {
		return nil, asProblem(err)
	}
	v, err := f.kind.newVersion(s, speaks)
	if err != nil {
		return nil, err
	}
	v.caller = func() any { return new(abi.Event) }
	if err := v.open(ctx, module, s.Served); err != nil {
		return nil, err
	}
	return &function{v, speaks}, nil
}

// function is one prepared version of a function. It implements services.Runner.
type function struct {
	*version
	runner abi.Runner // immutable
}

// Run implements services.Runner.
func (f *function) Run(ctx context.Context, e services.Event) (res accesslog.Result, err error) {
	began := time.Now()
	in, start, out, err := f.pool.Acquire(ctx, e.Deadline)
	if res.Start = accesslog.Start(start); res.Start == accesslog.StartCold {
		res.ColdTime = time.Since(began)
	}
	switch {
	case err != nil:
		if errors.Is(err, context.DeadlineExceeded) {
			res.Outcome = accesslog.OutcomeDeadline
		}
		return res, f.acquireError(err)
	case in == nil:
		res.Outcome = outcomeOf(out)
		return res, f.eventError(ctx, out)
	}
	res.SnapshotBytes = int64(len(in.Memory()))
	event := in.Caller.(*abi.Event)
	f.begin(ctx, event, e)
	out = contained(func() engine.Outcome { return f.runner.Run(in, event) })
	if s, ok := event.KeyValue.(*kv.Session); ok {
		res.KVOperations = s.Operations()
	}
	*event = abi.Event{} // it belongs to the instance, which another event may get after Release
	res.GuestTime = in.TakeGuestTime()
	res.Work = in.Work()
	res.PeakBytes = int64(len(in.Memory()))
	f.putBack(in, out, &res)
	res.Outcome = outcomeOf(out)
	return res, f.eventError(ctx, out)
}

// begin sets up the guest's view of an event.
func (f *function) begin(ctx context.Context, to *abi.Event, e services.Event) {
	to.Prefix, to.Rest, to.RequestID, to.Deadline, to.Context = e.Prefix, e.Rest, e.RequestID, e.Deadline, ctx
	to.Payload, to.Output = e.Payload, e.Output
	traceID := forwarded.TraceID(e.Header)
	to.Log = logTo(func(level abi.Level, line []byte) { f.logLine(level, line, e.RequestID, traceID) }, e.Log)
	if f.outbound != nil {
		to.Outbound = f.outbound.ForExchange(e.Deadline, outbound.Origin{RequestID: e.RequestID, Header: e.Header, Span: e.Span})
	}
	if f.stores != nil {
		to.KeyValue = f.stores.ForRequest(e.Deadline)
	}
}

// outcomeOf returns the outcome of a call as in access records, or "" if it is not an end of the guest itself.
func outcomeOf(out engine.Outcome) accesslog.Outcome {
	switch out.Kind {
	case engine.OK, engine.Exit, engine.Trap, engine.OutOfMemory, engine.StackOverflow, engine.Deadline, engine.WorkLimit:
		return accesslog.Outcome(out.Kind.String())
	}
	return ""
}

// eventError returns the error of an event, or nil if the guest has returned.
func (f *function) eventError(ctx context.Context, out engine.Outcome) error {
	if out.Kind == engine.Canceled && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), out.Err)
	}
	return f.outcomeError(out)
}
