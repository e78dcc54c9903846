package frames

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// patience bounds how long a header waits for its body, within a factor of two.
const patience = 2 * time.Millisecond

// Gatherer is shared by the connections of a server. It sends headers whose body does not come.
type Gatherer struct {
	patience time.Duration // immutable
	mu       sync.Mutex
	watched  []*Conn // guarded by mu; connections that have a header that waits, or had one
	timer    *time.Timer
}

// New returns a gatherer. It starts no goroutine.
func New() *Gatherer { return &Gatherer{patience: patience} }

// watch looks at a connection soon.
func (g *Gatherer) watch(c *Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watched = append(g.watched, c)
	if len(g.watched) > 1 { // the timer runs
		return
	}
	if g.timer == nil {
		g.timer = time.AfterFunc(g.patience, g.look) // runs while there are connections to watch
		return
	}
	g.timer.Reset(g.patience)
}

// look sends the headers that wait since the last look.
func (g *Gatherer) look() {
	g.mu.Lock()
	all := g.watched
	g.mu.Unlock()
	var kept []*Conn
	for _, c := range all {
		if c.look() {
			kept = append(kept, c)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watched = append(kept, g.watched[len(all):]...); len(g.watched) > 0 {
		g.timer.Reset(g.patience)
	}
}

type connKey struct{}

// ConnContext returns an http.Server's ConnContext that makes a Conn known to Handler. inner is the ConnContext of the server; it may be
// nil.
func ConnContext(inner func(context.Context, net.Conn) context.Context) func(context.Context, net.Conn) context.Context {
	return func(ctx context.Context, c net.Conn) context.Context {
		if inner != nil {
			ctx = inner(ctx, c)
		}
		if own, ok := c.(*Conn); ok {
			ctx = context.WithValue(ctx, connKey{}, own)
		}
		return ctx
	}
}

// Handler returns a handler that calls another one, and tells the Conn of a request when that has returned.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor < 2 {
			next.ServeHTTP(w, r)
			return
		}
		c, ok := r.Context().Value(connKey{}).(*Conn)
		if ok && c.tls != nil {
			r.TLS = c.tls
		}
		if next.ServeHTTP(w, r); ok {
			c.returned()
		}
	})
}
