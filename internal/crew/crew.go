// Package crew serves the streams of HTTP/2 on goroutines that are kept.
//
// net/http starts a goroutine for each stream. Its stack begins small, and is copied several times while it grows to what a
// service needs: that costs more than the handler. A kept goroutine has grown before. It costs two switches of goroutines, which
// need no other processor.
package crew

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/spare"
)

// Crew is a handler that calls another one, for HTTP/2 on kept goroutines. A few idle ones are kept for each processor: as
// many as run at a time. It must be closed.
type Crew struct {
	next   http.Handler           // immutable
	idle   *spare.Shelves[worker] // that wait for a stream
	closed atomic.Bool            // atomic
}

// New returns a crew for a handler. It starts no goroutine.
func New(next http.Handler) *Crew {
	return &Crew{next: next, idle: spare.New[worker]()}
}

// ServeHTTP implements http.Handler. Panics and runtime.Goexit of the handler happen on the goroutine of the caller, too.
func (c *Crew) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor < 2 { // the goroutine is that of the connection
		c.next.ServeHTTP(w, r)
		return
	}
	k := c.take()
	k.streams <- stream{w, r}
	end := <-k.ends
	if end.normal {
		c.give(k)
		return
	}
	k.dismiss()
	end.repeat()
}

// Close ends the idle goroutines. Others end with their streams, for which the caller should have waited.
func (c *Crew) Close() {
	c.closed.Store(true)
	c.idle.Sweep(every, (*worker).dismiss)
}

func every(*worker) bool { return true }

// take returns an idle worker or a new one.
func (c *Crew) take() *worker {
	if k := c.idle.Near().Take(every); k != nil {
		return k
	}
	k := &worker{streams: make(chan stream), ends: make(chan end, 1)}
	go k.run(c.next) // ended by dismiss
	return k
}

// give keeps a worker, or ends one that is too many.
func (c *Crew) give(k *worker) {
	shelf := c.idle.Near()
	if displaced := shelf.Put(k); displaced != nil {
		displaced.dismiss()
	}
	if c.closed.Load() && shelf.Retract(k) {
		k.dismiss()
	}
}

// stream is the request of a stream, and the writer of its response.
type stream struct {
	w http.ResponseWriter
	r *http.Request
}

// end is how a handler has ended.
type end struct {
	normal bool // it has returned
	value  any  // of its panic; nil: runtime.Goexit
}

// repeat ends the calling goroutine in the same way.
func (e end) repeat() {
	if e.value == nil {
		runtime.Goexit()
	}
	panic(e.value)
}

// worker is a goroutine that serves one stream after another, and what it shares with their goroutines.
type worker struct {
	streams chan stream
	ends    chan end // one for each stream; sending never blocks
}

// dismiss ends a worker without a stream.
func (k *worker) dismiss() { close(k.streams) }

// run serves streams until dismiss or an abnormal end.
func (k *worker) run(h http.Handler) {
	for s := range k.streams {
		if !k.serve(h, s) {
			return
		}
	}
}

// serve serves a stream, and reports whether the handler has returned.
func (k *worker) serve(h http.Handler, s stream) (normal bool) {
	defer func() {
		e := end{normal: normal}
		if !normal {
			e.value = located(recover())
		}
		k.ends <- e
	}()
	h.ServeHTTP(s.w, s.r)
	return true
}

// located returns the value of a panic with its stack, which the log of net/http would not have.
func located(value any) any {
	if value == nil || value == http.ErrAbortHandler {
		return value
	}
	return fmt.Errorf("%v\n%s", value, debug.Stack())
}
