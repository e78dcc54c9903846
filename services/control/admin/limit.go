package admin

import (
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

// retryAfter is sent to clients when the server is busy or not ready.
const retryAfter = 2 * time.Second

// limiter bounds concurrent requests of one kind. It never waits: the router's admission and the Deployer's
// claims and turns do.
type limiter = *places

// places are the requests that a limiter lets run.
type places struct {
	running chan struct{} // immutable; holds a value for each request
	refused atomic.Uint64 // counts refused requests
}

func newLimiter(most int) limiter {
	return &places{running: make(chan struct{}, most)}
}

// acquire takes a slot, or returns a problem if none is free. If it returns nil, the caller must call release.
func (l *places) acquire() error {
	select {
	case l.running <- struct{}{}:
		return nil
	default:
		l.refused.Add(1)
		p := problem.Newf(problem.NoCapacity, "%d management requests of this sort are under way already: try again", cap(l.running))
		p.RetryAfter = retryAfter
		return p
	}
}

func (l *places) release() { <-l.running }
