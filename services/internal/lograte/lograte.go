// Package lograte bounds how much a service may add to the server's log.
package lograte

import (
	"sync"
	"time"
)

const (
	// Default is the rate where none is configured, in bytes a second.
	Default = 256 << 10
	// BurstSeconds is how many seconds' worth a service that was quiet may log at once.
	BurstSeconds = 16
	// ToldInterval is the least time between two reports of dropped lines.
	ToldInterval = 10 * time.Second
)

// Limiter is the token bucket of one service. Its tokens are bytes of the log. It is safe for concurrent use.
type Limiter struct {
	rate int64 // immutable; bytes a second; 0: no limit

	mu      sync.Mutex
	left    int64     // guarded by mu, as all below
	filled  time.Time // when left was brought up to date
	dropped int64     // lines since the last report
	told    time.Time // of the last report
}

// New returns a full bucket. A rate of 0 sets no limit.
func New(bytesPerSecond int64) *Limiter {
	return &Limiter{rate: bytesPerSecond, left: bytesPerSecond * BurstSeconds, filled: time.Now()}
}

// Take reports whether a record of so many bytes may be logged. If dropped is not 0, that many lines were not, and the log is to say so.
func (l *Limiter) Take(bytes int) (dropped int64, ok bool) {
	if l.rate == 0 {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.fill(now)
	if l.left < int64(bytes) {
		l.dropped++
		return 0, false
	}
	l.left -= int64(bytes)
	if l.dropped > 0 && now.Sub(l.told) >= ToldInterval {
		dropped, l.dropped, l.told = l.dropped, 0, now
	}
	return dropped, true
}

// fill adds the bytes that the time since the last fill is worth.
func (l *Limiter) fill(now time.Time) {
	burst := l.rate * BurstSeconds
	passed := now.Sub(l.filled)
	if passed >= BurstSeconds*time.Second {
		l.left, l.filled = burst, now
		return
	}
	earned := int64(passed.Seconds() * float64(l.rate))
	if earned > 0 { // what is less than a byte stays for the next time
		l.left, l.filled = min(burst, l.left+earned), now
	}
}
