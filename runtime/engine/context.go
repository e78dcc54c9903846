package engine

import (
	"context"
	"time"
)

// callContext is the one context of an instance's life. wazero asks it for a value at each call and hands it to each
// host function, so it is a single flat type: no chain to walk, no allocation for a request.
type callContext struct{ in *Instance }

type instanceKey struct{}

func (c *callContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *callContext) Done() <-chan struct{}       { return nil }
func (c *callContext) Err() error                  { return nil }

func (c *callContext) Value(key any) any {
	if _, ok := key.(instanceKey); ok {
		return c.in
	}
	return nil
}

func instanceFrom(ctx context.Context) *Instance {
	if c, ok := ctx.(*callContext); ok {
		return c.in
	}
	return ctx.Value(instanceKey{}).(*Instance)
}
