package engine

import (
	"context"
	"crypto/sha256"
	"sync"
)

// oneByOne serialises the compilation of each module. wazero's loading of compiled code from
// its cache is not safe for concurrent use with the same module: it publishes the code before
// its entry points exist, and a concurrent user panics. The zero oneByOne is ready for use.
type oneByOne struct {
	mu   sync.Mutex
	busy map[[sha256.Size]byte]chan struct{} // guarded by mu; closed when the module is released
}

// acquire waits until no other goroutine compiles the module. The caller must call release,
// unless acquire returns the error of ctx.
func (o *oneByOne) acquire(ctx context.Context, module []byte) (release func(), err error) {
	key, mine := sha256.Sum256(module), make(chan struct{})
	for {
		o.mu.Lock()
		others, taken := o.busy[key]
		if !taken {
			if o.busy == nil {
				o.busy = make(map[[sha256.Size]byte]chan struct{})
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

func (o *oneByOne) release(key [sha256.Size]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.busy[key])
	delete(o.busy, key)
}
