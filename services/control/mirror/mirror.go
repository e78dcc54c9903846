// Package mirror sends copies of requests to versions without a share, and compares the responses with the served ones.
//
// Copies wait in one bounded queue. When it is full, they are dropped: a mirror never slows requests. The examples of
// differences name the request and the difference; bodies and values of headers are not kept, because they may be
// secrets.
//
// # Concurrency
//
// mu guards the counts, and is a leaf. Run owns its workers.
package mirror

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
)

// Bounds of all mirrors together.
const (
	workers     = 2
	queued      = 64
	requestTime = 30 * time.Second
	maxExamples = 5
	maxPath     = 200 // bytes of a path in an example
	maxKnown    = 1024
)

// Stats are the counts of one mirror.
type Stats struct {
	Compared  uint64
	Different uint64
	Dropped   uint64   // the queue was full, the server had no capacity, or the version was not ready
	Examples  []string // of differences, the first ones
}

// Mirrors compares the responses of mirrors. Create it with New. It is safe for concurrent use.
type Mirrors struct {
	queue chan job

	mu    sync.Mutex
	known map[name]*Stats // guarded by mu
}

// name identifies a mirror.
type name struct {
	key    routekey.Key
	number registry.Number
}

// job is a copy to send.
type job struct {
	name    name
	headers []string
	copied  *router.Copy
}

// New returns Mirrors without counts. Run sends the copies.
func New() *Mirrors {
	return &Mirrors{queue: make(chan job, queued), known: make(map[name]*Stats)}
}

// Offer takes a copy over, or drops it if the queue is full. It does not block.
func (m *Mirrors) Offer(key routekey.Key, to registry.Mirror, c *router.Copy) {
	j := job{name: name{key, to.Number}, headers: to.Headers, copied: c}
	m.know(j.name)
	select {
	case m.queue <- j:
	default:
		m.count(j.name, func(s *Stats) { s.Dropped++ })
	}
}

// Run sends copies until ctx ends.
func (m *Mirrors) Run(ctx context.Context) {
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for {
				select {
				case j := <-m.queue:
					m.send(ctx, j)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	all.Wait()
}

// StatsOf returns the counts of a mirror since it was set or the server was started.
func (m *Mirrors) StatsOf(key routekey.Key, n registry.Number) Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.known[name{key, n}]; s != nil {
		found := *s
		found.Examples = slices.Clone(s.Examples)
		return found
	}
	return Stats{}
}

// Forget drops the counts of a service, except for those of the mirror that it has.
func (m *Mirrors) Forget(key routekey.Key, keep registry.Number) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for n := range m.known {
		if n.key == key && n.number != keep {
			delete(m.known, n)
		}
	}
}

// know begins the counts of a mirror. Requests in flight begin them again after Forget, so there is a bound: then
// others are dropped.
func (m *Mirrors) know(n name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[n] != nil {
		return
	}
	for other := range m.known {
		if len(m.known) < maxKnown {
			break
		}
		delete(m.known, other)
	}
	m.known[n] = &Stats{}
}

// count changes the counts of a mirror, unless they are forgotten.
func (m *Mirrors) count(n name, change func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.known[n]; s != nil {
		change(s)
	}
}

// send sends a copy and compares the responses.
func (m *Mirrors) send(ctx context.Context, j job) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	c := j.copied
	body, answer, _ := c.Bodies()
	r := c.Request.Clone(ctx)
	if len(body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.ContentLength = int64(len(body))
	}
	w := &writer{header: http.Header{}}
	ok, err := c.Serve(w, r)
	if !ok {
		m.count(j.name, func(s *Stats) { s.Dropped++ })
		return
	}
	text := difference(j, w, answer, err)
	m.count(j.name, func(s *Stats) {
		s.Compared++
		if text == "" {
			return
		}
		s.Different++
		if len(s.Examples) < maxExamples {
			s.Examples = append(s.Examples, fmt.Sprintf("%.20s %.*s: %s", r.Method, maxPath, r.URL.EscapedPath(), text))
		}
	})
}

// difference describes the first difference of two responses, or returns "".
func difference(j job, w *writer, answer []byte, err error) string {
	c := j.copied
	switch {
	case err != nil && w.status == 0:
		return fmt.Sprintf("status %d -> the version failed", c.Status)
	case err != nil:
		return "the response of the version broke off"
	case w.status == 0:
		w.status = http.StatusOK
	}
	if w.status != c.Status {
		return fmt.Sprintf("status %d -> %d", c.Status, w.status)
	}
	for _, name := range j.headers {
		if !slices.Equal(c.Header[name], w.sent[name]) {
			return "the header " + name + " differs"
		}
	}
	switch {
	case j.copied.Request.Method == http.MethodHead:
	case w.full:
		return fmt.Sprintf("body: %d bytes -> more than %d", len(answer), router.MaxMirrorBytes)
	case len(answer) != w.body.Len():
		return fmt.Sprintf("body: %d bytes -> %d", len(answer), w.body.Len())
	case !bytes.Equal(answer, w.body.Bytes()):
		return fmt.Sprintf("body: it differs, with the same %d bytes", len(answer))
	}
	return ""
}

// writer keeps a response up to a bound.
type writer struct {
	header, sent http.Header
	status       int
	body         bytes.Buffer
	full         bool
}

func (w *writer) Header() http.Header { return w.header }

func (w *writer) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status, w.sent = status, w.header.Clone()
	}
}

// Write keeps at most router.MaxMirrorBytes, and takes the rest without keeping it.
func (w *writer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if room := router.MaxMirrorBytes - w.body.Len(); len(p) > room {
		w.body.Write(p[:room])
		w.full = true
	} else {
		w.body.Write(p)
	}
	return len(p), nil
}

// FlushError supports Flush of http.ResponseController.
func (w *writer) FlushError() error {
	w.WriteHeader(http.StatusOK)
	return nil
}
