package engine

import (
	"context"
	"time"
)

// WarmUp lets an instance serve a request before the snapshot is captured, within a time. Its error is returned by Prepare.
type WarmUp func(ctx context.Context, until time.Time, in *Instance) error

// warmUp calls the WarmUps of the module. Each has the counters of a request.
func (in *Instance) warmUp(ctx context.Context, until time.Time) error {
	all := in.module.opts.WarmUps
	if len(all) == 0 {
		return nil
	}
	if err := in.module.checkWarm(); err != nil {
		return err
	}
	if in.OnCapture != nil {
		in.OnCapture() // each request has the state of the initialisation
	}
	in.Warming = true
	defer func() { in.Warming = false }()
	for _, f := range all {
		in.recount()
		if err := f(ctx, until, in); err != nil {
			return err
		}
		in.endTask()
	}
	return nil
}

// checkWarm returns an error if the module has WarmUps without effect.
func (m *Module) checkWarm() error {
	if fresh, reason := m.Fresh(); fresh && len(m.opts.WarmUps) > 0 {
		return &ModuleError{Violations: []string{"cannot be warmed up, because each request gets a new instance: " + reason}}
	}
	return nil
}
