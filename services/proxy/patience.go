package proxy

import (
	"sync"
	"time"
)

// leastBodyRate is the least average rate of a request's body, in bytes a second. Below it, the wait for the answer is not prolonged.
const leastBodyRate = 1 << 10

// patience bounds the wait for an answer's header. While the request's body is on its way, the wait begins anew with each part of it: the
// upstream's time counts from when it has the request.
type patience struct {
	limit time.Duration // immutable
	begin time.Time     // immutable

	mu       sync.Mutex
	timer    *time.Timer // guarded by mu, like all below
	received int64       // bytes of the body
	over     bool        // the time is over, or the wait
}

// newPatience calls expire when the time is over. stop must follow.
func newPatience(begin time.Time, limit time.Duration, expire func()) *patience {
	p := &patience{limit: limit, begin: begin}
	p.mu.Lock() // until the timer is there
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(time.Until(begin.Add(limit)), func() {
		if p.stop() {
			expire()
		}
	})
	return p
}

// progress notes that a part of the body has come, or its end.
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

// stop ends the wait. It reports false if the time was over before.
func (p *patience) stop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	inTime := !p.over
	p.over = true
	p.timer.Stop()
	return inTime
}
