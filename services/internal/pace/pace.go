// Package pace aborts the reading of request bodies that clients send too slowly. It
// bounds how long a slow client holds the resources of its request.
package pace

import (
	"io"
	"net/http"
	"sync"
	"time"
)

const (
	// Silence is the maximum wait for the next byte. It also bounds the sum of all waits,
	// beyond the time that the received bytes are worth at BytesPerSecond. A client may
	// therefore be this slow once, or a little slow many times.
	Silence = 5 * time.Second
	// BytesPerSecond is the minimum average rate while a reader waits.
	BytesPerSecond = 256
)

// Body is a request body with a minimum rate. Only time spent in Read counts, so the
// reader may be slow. A read that falls behind fails with os.ErrDeadlineExceeded, through
// the read deadline of the connection. The caller must call Stop when the request is over.
type Body struct {
	from    io.Reader                // immutable
	control *http.ResponseController // immutable

	mu      sync.Mutex
	since   time.Time     // guarded by mu, like all below; start of the current read; zero if there is none
	waited  time.Duration // in completed reads
	got     int64
	timer   *time.Timer // ends the current read; nil before the first
	armed   bool        // timer runs
	stopped bool
}

// New returns the body from, which is read from the connection of control.
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

// leftLocked returns how long the current read may last.
func (b *Body) leftLocked() time.Duration {
	earned := time.Duration(float64(b.got) / BytesPerSecond * float64(time.Second))
	return min(Silence, Silence+earned-b.waited)
}

// check ends the current read if its time is over.
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
	_ = b.control.SetReadDeadline(time.Unix(1, 0)) // a connection without deadlines does not need one
}

// Stop ends the watch. No deadline is set after it returns.
func (b *Body) Stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	if b.timer != nil {
		b.timer.Stop()
	}
}
