package engine

import (
	"context"
	"sync"
)

// wholes are the turns of modules that are read, rewritten and compiled as a whole, which takes memory of many times their
// size. Deploys prepare few at a time, but any number of requests can find the files of their services missing.
type wholes chan struct{}

// turn is one of them. A nil turn is none.
type turn struct {
	of   wholes
	once sync.Once
}

// enter waits for a turn. The caller must leave it, unless enter returns the error of ctx.
func (w wholes) enter(ctx context.Context) (*turn, error) {
	select {
	case w <- struct{}{}:
		return &turn{of: w}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// leave ends the turn, if that was not done before.
func (t *turn) leave() {
	if t != nil {
		t.once.Do(func() { <-t.of })
	}
}
