package admin

import (
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
)

// retryAfter is sent to clients when the server is busy or not ready.
const retryAfter = 2 * time.Second

// limiter bounds concurrent requests of one kind. It never waits: the router's admission and the Deployer's
// claims and turns do.
type limiter chan struct{}

func newLimiter(places int) limiter { return make(limiter, places) }

// acquire takes a slot, or returns a problem if none is free. If it returns nil, the caller must call release.
func (l limiter) acquire() error {
	select {
	case l <- struct{}{}:
		return nil
	default:
		p := problem.Newf(problem.NoCapacity, "%d management requests of this sort are under way already: try again", cap(l))
		p.RetryAfter = retryAfter
		return p
	}
}

func (l limiter) release() { <-l }
