package lane

import (
	"sync"
	"time"
)

// watchAfter is the time from the first use of a request's context to the watch of its client. Most requests are over
// by then, and cost no watch.
const watchAfter = time.Millisecond

// noDeadline removes a deadline.
var noDeadline time.Time

// past is a deadline that ends a read in progress.
func past() time.Time { return time.Unix(1, 0) }

// watch notices a client's disconnect while its request is served: it reads ahead, once the request's body is
// complete. A goroutine of a timer reads. It ends before the next request is read.
type watch struct {
	conn *conn // immutable

	mu      sync.Mutex
	ended   *sync.Cond      // immutable; of mu; signals that reading has become false
	request *requestContext // guarded by mu, as all below; nil between requests
	body    bool            // the body is not complete
	timer   *time.Timer     // nil before the first ask
	asked   bool            // the timer runs, or has run for the request
	due     bool            // the timer has run
	reading bool            // a read is in progress, or is about to begin
	aborted bool            // the read was ended by stop
}

// init prepares the watch of a connection.
func (w *watch) init(c *conn) { w.conn, w.ended = c, sync.NewCond(&w.mu) }

// start begins a request.
func (w *watch) start(request *requestContext, body bool) {
	w.mu.Lock()
	w.request, w.body, w.asked, w.due = request, body, false, false
	w.mu.Unlock()
}

// ask asks to watch the client of a request, unless that is over.
func (w *watch) ask(request *requestContext) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.request != request || w.asked {
		return
	}
	w.asked = true
	if w.timer == nil {
		w.timer = time.AfterFunc(watchAfter, w.fire)
	} else {
		w.timer.Reset(watchAfter)
	}
}

// fire watches the client if the body is complete.
func (w *watch) fire() {
	w.mu.Lock()
	if w.request == nil || !w.asked || w.due { // a timer of an earlier request
		w.mu.Unlock()
		return
	}
	w.due = true
	w.reading = !w.body
	begin := w.reading
	w.mu.Unlock()
	if begin {
		w.read()
	}
}

// bodyEnded notes the end of the body. From then on, a read shows the disconnect of the client or its next request.
func (w *watch) bodyEnded() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.request == nil || !w.body {
		return
	}
	w.body = false
	_ = w.conn.SetReadDeadline(noDeadline) // the next read shows an error
	if w.due {
		w.reading = true
		go w.read() // ended by stop
	}
}

// read waits for the client. Its next request is kept for the connection's goroutine.
func (w *watch) read() {
	err := w.conn.fill()
	w.mu.Lock()
	request := w.request
	if err == nil || w.aborted {
		request = nil
	}
	w.reading = false
	w.ended.Broadcast()
	w.mu.Unlock()
	if request != nil {
		request.end()
	}
}

// stop ends the watch of a request. No read is in progress afterwards.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.request = nil; w.asked {
		w.timer.Stop()
	}
	if !w.reading {
		return
	}
	w.aborted = true
	_ = w.conn.SetReadDeadline(past()) // the read has ended otherwise
	for w.reading {
		w.ended.Wait()
	}
	w.aborted = false
	_ = w.conn.SetReadDeadline(noDeadline)
}
