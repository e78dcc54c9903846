package deploy

import (
	"context"
	"sync"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
)

// claims serialises changes of the same service while changes of different services run in parallel. The
// current version of a claimed prefix does not change until the holder releases the claim.
type claims struct {
	mu    sync.Mutex
	taken map[routekey.Key]bool // guarded by mu
	freed chan struct{}         // guarded by mu; closed and replaced at each release
}

func newClaims() *claims {
	return &claims{taken: make(map[routekey.Key]bool), freed: make(chan struct{})}
}

// try takes all prefixes or none. If it takes none, changed is closed at the next release, when another try
// may succeed.
func (c *claims) try(keys []routekey.Key) (ok bool, changed <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if c.taken[key] {
			return false, c.freed
		}
	}
	for _, key := range keys {
		c.taken[key] = true
	}
	return true, nil
}

func (c *claims) release(keys []routekey.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		delete(c.taken, key)
	}
	close(c.freed)
	c.freed = make(chan struct{})
}

// patience selects the behaviour of a change that has to wait.
type patience bool

const (
	impatient patience = false // refused if MaxWaiters changes are waiting already
	patient   patience = true  // always waits; for the configuration file and the start, of which there is one each
)

// claim claims all prefixes at once, so that two changes cannot deadlock.
func (d *Deployer) claim(ctx context.Context, p patience, keys ...routekey.Key) (release func(), err error) {
	ok, changed := d.claims.try(keys)
	if !ok {
		err = d.wait(p, func() error {
			for !ok {
				select {
				case <-changed:
				case <-d.closing.Done():
					return errClosing()
				case <-ctx.Done():
					return asProblem("wait for the deploys before this one", context.Cause(ctx))
				}
				ok, changed = d.claims.try(keys)
			}
			return nil
		})
	}
	if err != nil {
		return nil, err
	}
	return func() { d.claims.release(keys) }, nil
}

// wait calls f, which blocks. The number of impatient calls is bounded, because each keeps its module in
// memory.
func (d *Deployer) wait(p patience, f func() error) error {
	if p == impatient {
		defer d.waiters.Add(-1)
		if int(d.waiters.Add(1)) > d.cfg.MaxWaiters {
			d.acts.changes.Add(1)
			p := problem.New(problem.NoCapacity, "other deploys are being carried out and too many wait already; try again")
			p.RetryAfter = busyRetryAfter
			return p.WithCause(ErrBusy)
		}
	}
	return f()
}
