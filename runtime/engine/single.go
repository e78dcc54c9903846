package engine

import (
	"context"
	"sync"
)

// oneByOne serialises the compilation of modules with the same code: one compiles it, the others share it.
// Besides, wazero's loading of compiled code from
// its cache is not safe for concurrent use with the same module: it publishes the code before
// its entry points exist, and a concurrent user panics. The zero oneByOne is ready for use.
type oneByOne struct {
	mu   sync.Mutex
	busy map[codeID]chan struct{} // guarded by mu; closed when the code is released
}

// acquire waits until no other goroutine compiles the code. The caller must call release,
// unless acquire returns the error of ctx.
func (o *oneByOne) acquire(ctx context.Context, key codeID) (release func(), err error) {
	mine := make(chan struct{})
	for {
		o.mu.Lock()
		others, taken := o.busy[key]
		if !taken {
			if o.busy == nil {
				o.busy = make(map[codeID]chan struct{})
			}
			o.busy[key] = mine
		}
		o.mu.Unlock()
		if !taken {
			return func() { o.release(key) }, nil
		}
		select {
		case <-others:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// taken reports whether the code is being compiled.
func (o *oneByOne) taken(key codeID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.busy[key] != nil
}

func (o *oneByOne) release(key codeID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.busy[key])
	delete(o.busy, key)
}
