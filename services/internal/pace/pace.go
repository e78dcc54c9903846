// Package pace ends the reading of request bodies that clients send too slowly, so that a slow client holds what its request
// takes for a bounded time.
package pace

import (
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// Silence is how long a reader waits for the next byte. A client may be as slow as this once, or by a little many times: it also
	// bounds the sum of all waits, beyond what the bytes received are worth at BytesPerSecond.
	Silence = 5 * time.Second
	// BytesPerSecond is the least rate while a reader waits, on the average.
	BytesPerSecond = 256
)

// Body is a request body with a least rate. Only the time in Read counts: a reader may take its own. A read beyond the rate
// fails with os.ErrDeadlineExceeded, by the read deadline of the connection. Stop must be called when the request is over.
type Body struct {
	from    io.Reader                // immutable
	control *http.ResponseController // immutable

	mu      sync.Mutex
	since   time.Time     // guarded by mu, like all below; of the read that waits; zero if none does
	waited  time.Duration // in reads that are over
	got     int64
	timer   *time.Timer // ends the read that waits; nil before the first
	armed   bool        // timer runs
	stopped bool
}

// New returns the body from, which is read on the connection of control.
func New(from io.Reader, control *http.ResponseController) *Body {
	return &Body{from: from, control: control}
}

// Read implements io.Reader. It is not safe for concurrent use.
func (b *Body) Read(p []byte) (int, error) {
	b.begin()
	n, err := b.from.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waited += time.Since(b.since)
	b.since = time.Time{}
	b.got += int64(n)
	return n, err
}

func (b *Body) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Now()
	switch {
	case b.stopped || b.armed:
		return
	case b.timer == nil:
		b.timer = time.AfterFunc(b.leftLocked(), b.check)
	default:
		b.timer.Reset(b.leftLocked())
	}
	b.armed = true
}

// leftLocked returns how long the read that waits may last.
func (b *Body) leftLocked() time.Duration {
	earned := time.Duration(float64(b.got) / BytesPerSecond * float64(time.Second))
	return min(Silence, Silence+earned-b.waited)
}

// check ends the read that waits if its time is over.
func (b *Body) check() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.armed = !b.stopped && !b.since.IsZero(); !b.armed {
		return
	}
	if left := b.leftLocked() - time.Since(b.since); left > 0 {
		b.timer.Reset(left)
		return
	}
	_ = b.control.SetReadDeadline(time.Unix(1, 0)) // a connection without deadlines has a peer that needs none
}

// Stop ends the watch. No deadline is set after it.
func (b *Body) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.timer != nil {
		b.timer.Stop()
	}
}
