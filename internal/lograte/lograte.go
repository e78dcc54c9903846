// Package lograte limits how much a service may write to the server's log.
package lograte

import (
	"log/slog"
	"sync"
	"time"
)

const (
	// Default is the default rate, in bytes per second.
	Default = 256 << 10
	// BurstSeconds is the burst in seconds of the rate: a quiet service may log that much at once.
	BurstSeconds = 16
	// ToldInterval is the minimum time between two reports of dropped lines.
	ToldInterval = 10 * time.Second
)

// Limiter is the token bucket of one service. A token is one byte of log. It is safe for concurrent use.
type Limiter struct {
	rate int64 // immutable; bytes per second; 0: no limit

	mu      sync.Mutex
	left    int64     // guarded by mu, as all below
	filled  time.Time // when left was last updated
	dropped int64     // lines since the last report
	told    time.Time // of the last report
	stats   Stats
}

// Stats are counts of lines since New. Without a limit, nothing is counted.
type Stats struct {
	Logged  int64
	Dropped int64
}

// Stats returns the current counts.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

// New returns a full bucket. A rate of 0 sets no limit.
func New(bytesPerSecond int64) *Limiter {
	return &Limiter{rate: bytesPerSecond, left: bytesPerSecond * BurstSeconds, filled: time.Now()}
}

// Take reports whether a record of the given size may be logged. If dropped is not 0,
// the caller must log that this many lines were dropped.
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
		l.stats.Dropped++
		return 0, false
	}
	l.left -= int64(bytes)
	l.stats.Logged++
	if l.dropped > 0 && now.Sub(l.told) >= ToldInterval {
		dropped, l.dropped, l.told = l.dropped, 0, now
	}
	return dropped, true
}

// Allows reports whether a line of the given size may be logged. Where lines were dropped before it, Allows logs
// their number first. who writes the lines, such as "the service".
func (l *Limiter) Allows(log *slog.Logger, who string, bytes int) bool {
	dropped, ok := l.Take(bytes)
	if dropped > 0 {
		log.Warn(who+" logs more than --log-rate allows; lines were dropped", slog.Int64("dropped", dropped))
	}
	return ok
}

// fill adds the tokens earned since the last fill.
func (l *Limiter) fill(now time.Time) {
	burst := l.rate * BurstSeconds
	passed := now.Sub(l.filled)
	if passed >= BurstSeconds*time.Second {
		l.left, l.filled = burst, now
		return
	}
	earned := int64(passed.Seconds() * float64(l.rate))
	if earned > 0 { // fractions of a byte count next time
		l.left, l.filled = min(burst, l.left+earned), now
	}
}
