package admin

import (
	"time"

	"github.com/vespo-dev/vespo/router/problem"
)

// retryAfter is told to a client that finds all places taken.
const retryAfter = 2 * time.Second

// limiter bounds how many requests of one sort are under way. It never waits: the router's admission and the Deployer's
// claims and turns are the places that do.
type limiter chan struct{}

func newLimiter(places int) limiter { return make(limiter, places) }

// acquire takes a place, or tells that none is free. With nil, release must follow.
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
