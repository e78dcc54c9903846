package engine

import (
	"context"
	"time"
)

// callContext is the context of all calls of an instance. wazero reads a value from it at
// each call and passes it to each host function. It is a single flat type, so lookups walk
// no chain and requests do not allocate it.
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
