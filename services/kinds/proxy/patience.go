package proxy

import (
	"sync"
	"time"
)

// leastBodyRate is the minimum average rate of a request body, in bytes
// per second. Below it, the wait for the response is not extended.
const leastBodyRate = 1 << 10

// patience bounds the wait for a response header. Each part of the request body
// restarts the wait, so the upstream's time counts from when it has the whole request.
type patience struct {
	limit time.Duration // immutable
	begin time.Time     // immutable

	mu       sync.Mutex
	timer    *time.Timer // guarded by mu, like all below
	received int64       // of the body
	over     bool        // expired or stopped
}

// newPatience returns a wait that is not running yet.
func newPatience(begin time.Time, limit time.Duration) *patience {
	return &patience{limit: limit, begin: begin}
}

// start starts the wait, which calls expire when the time is over. The caller must call stop.
func (p *patience) start(expire func()) {
	p.mu.Lock() // until the timer is set
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(time.Until(p.begin.Add(p.limit)), func() {
		if p.stop() {
			expire()
		}
	})
}

// progress records that n bytes of the body have arrived, or that it has ended.
func (p *patience) progress(n int, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.received += int64(n)
	wait := p.limit
	if !ended {
		latest := p.begin.Add(p.limit + time.Duration(p.received)*time.Second/leastBodyRate)
		wait = min(wait, time.Until(latest))
	}
	p.timer.Reset(wait)
}

// stop ends the wait. It returns false if the wait was already over.
func (p *patience) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	inTime := !p.over
	p.over = true
	p.timer.Stop()
	return inTime
}
