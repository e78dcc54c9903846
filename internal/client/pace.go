package client

import "time"

// Pace is the slowest rate at which a client may send a body. Only time spent in Read counts, so the reader may
// be slow. The zero Pace has no limit.
type Pace struct {
	Silence time.Duration // longest wait for the next byte; 0: no limit of its own
	Grace   time.Duration // sum of all waits, beyond the time that the received bytes are worth
	Rate    int64         // bytes that are worth a second
}

// Streamed is the pace of a body that is used while it arrives. A client may be silent for five seconds once, or
// a little slow many times.
func Streamed() Pace { return Pace{Silence: 5 * time.Second, Grace: 5 * time.Second, Rate: 256} }

// Collected is the pace of a body that is held in memory until it is complete.
func Collected() Pace { return Pace{Grace: 10 * time.Second, Rate: 32 << 10} }

// left returns how long the next read may take after the received bytes and the earlier waits.
func (p Pace) left(received int64, waited time.Duration) time.Duration {
	earned := time.Duration(float64(received) / float64(p.Rate) * float64(time.Second))
	left := p.Grace + earned - waited
	if p.Silence > 0 {
		left = min(p.Silence, left)
	}
	return left
}
