package router

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// MaxMirrorBytes bounds the copy of a request's body, and that of a response's.
const MaxMirrorBytes = 64 << 10

// Mirror copies requests of a split to a version that has no share. The primary request is never slowed by more than the
// copying, and never fails because of it.
type Mirror struct {
	Route  *Route
	Weight int // share of the requests, of Whole
	// Offer takes a copy over, or drops it. It must not block.
	Offer func(*Copy)
}

// Copy is a request that was served, with its response, and the route that it is mirrored to.
type Copy struct {
	Route   *Route
	Request *http.Request // a clone without a body
	Rest    string
	Client  forwarded.Client

	Status int
	Header http.Header // of the response

	mu       sync.Mutex
	body     []byte // guarded by mu: of the request
	answer   []byte // guarded by mu: of the response
	partial  bool   // guarded by mu: a body was larger than MaxMirrorBytes, or was not read to its end
	finished bool   // guarded by mu: a stray goroutine of the handler adds nothing any more
}

// Bodies returns the bodies of request and response. It reports false if one of them is incomplete.
func (c *Copy) Bodies() (request, response []byte, whole bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.body, c.answer, !c.partial
}

// copyFor returns the copy of a request that is to be mirrored, else nil.
func (s *Split) copyFor(x *exchange) *Copy {
	m := s.Mirror
	if m == nil || x.only != "" || x.request.Header["Upgrade"] != nil || rand.IntN(Whole) >= m.Weight {
		return nil
	}
	return &Copy{Route: m.Route}
}

// begin prepares the copy before the handler is called, which may change the request.
func (c *Copy) begin(x *exchange, offer func(*Copy)) {
	c.Request = x.request.Request.Clone(x.request.Context())
	c.Request.Body = http.NoBody
	c.Rest, c.Client = x.request.Rest, x.request.Client
	x.body.tee, x.writer.tee, x.offer = c, c, offer
}

func (c *Copy) addBody(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.body = c.addLocked(c.body, p)
}

func (c *Copy) addAnswer(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = c.addLocked(c.answer, p)
}

// spoil keeps the copy from being used.
func (c *Copy) spoil() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.partial = true
}

func (c *Copy) addLocked(to, p []byte) []byte {
	if c.finished || c.partial {
		return to
	}
	if len(to)+len(p) > MaxMirrorBytes {
		c.partial = true
		return to
	}
	return append(to, p...)
}

// finish ends the copy of a concluded request, and offers it if it is whole.
func (x *exchange) finishCopy() {
	c := x.writer.tee
	if c == nil {
		return
	}
	c.mu.Lock()
	c.finished = true
	whole := !c.partial && !x.abort && x.writer.tunnel == nil && (x.body.ReadCloser == nil || x.body.ended.Load() || x.request.ContentLength == int64(len(c.body)))
	c.mu.Unlock()
	c.Status = x.writer.status
	if whole {
		x.offer(c)
	}
}

// Serve serves a copy by the route of the mirror, and writes the response to w. It reports false if the route has been retired
// meanwhile, or if capacity is scarce: copies take at most half of the requests that the service may have at a time. The request is marked as Request.Mirrored.
func (c *Copy) Serve(w http.ResponseWriter, r *http.Request) (ok bool, err error) {
	if !c.Route.pin() {
		return false, nil
	}
	defer c.Route.unpin()
	if c.Route.Await != nil {
		return false, nil
	}
	if l := c.Route.Limiter; l != nil {
		if !l.Spare() || !l.Relaxed(1) {
			return false, nil
		}
		place, _, err := l.Acquire(r.Context())
		if err != nil {
			return false, nil
		}
		defer place.Release()
		if !l.Relaxed(0) { // other copies have come at the same moment
			return false, nil
		}
	}
	now := time.Now()
	request := &Request{Request: r, ID: newRequestID(), Client: c.Client, Prefix: string(c.Route.Key.Prefix), Rest: c.Rest, Arrived: now, Admitted: now, Mirrored: true}
	r.Header[RequestIDHeader] = []string{request.ID}
	var result accesslog.Result
	err = Call(c.Route.Handler, w, request, &result)
	c.Route.count(err != nil)
	return true, err
}

// answerTee writes to the copy of a response.
type answerTee struct{ *Copy }

// Write never fails.
func (a answerTee) Write(p []byte) (int, error) {
	a.addAnswer(p)
	return len(p), nil
}
