package engine

import (
	"context"
	"crypto/sha256"
	"sync"
)

// oneByOne lets one goroutine at a time compile a given module. wazero's loading of compiled code from its cache is not safe for
// that: it shows the code to others before the code's entry points are made, and who gets it then fails with a panic. The
// zero oneByOne is ready for use.
type oneByOne struct {
	mu   sync.Mutex
	busy map[[sha256.Size]byte]chan struct{} // guarded by mu; closed when the module's turn is over
}

// acquire waits for the turn of a module. The caller calls release, unless there is an error, which is ctx's.
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
