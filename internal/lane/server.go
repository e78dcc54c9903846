package lane

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/frames"
)

// Server serves the connections of an http.Server, see the package comment.
type Server struct {
	http    *http.Server     // immutable
	handler http.Handler     // immutable; of requests of the lane
	frames  *frames.Gatherer // of connections of HTTP/2
	buffers sync.Pool        // of *buffers
	spent   sync.Pool        // of *exchange, which no goroutine uses
	dated   atomic.Pointer[dated]
	leaving atomic.Bool    // atomic; Shutdown or Close was called
	served  sync.WaitGroup // goroutines of connections

	mu        sync.Mutex
	open      map[*conn]struct{}      // guarded by mu
	listeners map[net.Listener]func() // guarded by mu; their Close, to be called once
	accepted  uint64                  // guarded by mu; connections since New
	left      [Reasons]uint64         // guarded by mu; the part of these that went to net/http
}

// New returns a server for the handler, the contexts, the ConnState and the ErrorLog of s. These must not change
// afterwards. It wraps the handler and the ConnContext, for package frames. It starts no goroutine.
func New(s *http.Server) *Server {
	handler := s.Handler
	s.Handler, s.ConnContext = frames.Handler(handler), frames.ConnContext(s.ConnContext)
	return &Server{
		http:      s,
		handler:   handler,
		frames:    frames.New(),
		open:      make(map[*conn]struct{}),
		listeners: make(map[net.Listener]func()),
	}
}

// Stats describes the connections of a Server.
type Stats struct {
	Open     int             // in the lane
	Accepted uint64          // since New
	Left     [Reasons]uint64 // the part that went to net/http, since New
}

// Stats returns the current state.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Open: len(s.open), Accepted: s.accepted, Left: s.left}
}

// Serve accepts and serves connections, until l fails. After Shutdown or Close it returns http.ErrServerClosed.
func (s *Server) Serve(l net.Listener) error {
	closeOnce := sync.OnceFunc(func() { _ = l.Close() }) // Accept ends in any case
	defer closeOnce()
	s.mu.Lock()
	s.listeners[l] = closeOnce
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, l)
	}()
	base := context.Background()
	if s.http.BaseContext != nil {
		base = s.http.BaseContext(l)
	}
	var pause time.Duration
	for !s.leaving.Load() {
		accepted, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.accept(accepted, l.Addr(), base)
		case s.leaving.Load():
		case passing(err):
			pause = min(max(2*pause, minPause), maxPause)
			s.logf("http: Accept error: %v; retrying in %v", err, pause)
			<-time.After(pause)
		default:
			return err
		}
	}
	return http.ErrServerClosed
}

// Bounds of the pause after an Accept that has failed for lack of descriptors.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// passing reports whether Accept may succeed later.
func passing(err error) bool {
	var failed net.Error
	//lint:ignore SA1019 net/http asks in this way, too
	return errors.As(err, &failed) && failed.Temporary()
}

// accept serves a connection.
func (s *Server) accept(accepted net.Conn, listener net.Addr, base context.Context) {
	c := s.newConn(accepted, listener, base)
	s.tell(accepted, http.StateNew)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving.Load() {
		_ = accepted.Close() // nothing was read from it
		s.tell(accepted, http.StateClosed)
		return
	}
	s.open[c] = struct{}{}
	s.accepted++
	s.served.Add(1)
	go c.serve() // ended by Shutdown or Close; forget ends the wait for it
}

// forget ends the count of a connection, and the wait for its goroutine, which ends or belongs to a handler that has taken
// the connection over.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	s.served.Done()
}

// handOver is forget for a connection that goes to net/http.
func (s *Server) handOver(c *conn) {
	s.mu.Lock()
	s.left[c.reason]++
	s.mu.Unlock()
	s.forget(c)
}

// tell calls the hook of the http.Server.
func (s *Server) tell(c net.Conn, state http.ConnState) {
	if s.http.ConnState != nil {
		s.http.ConnState(c, state)
	}
}

// logf writes to the ErrorLog of the http.Server, if there is one.
func (s *Server) logf(format string, args ...any) {
	if s.http.ErrorLog != nil {
		s.http.ErrorLog.Printf(format, args...)
	}
}

const (
	// freshTime is how long a connection may wait for its first request while the server shuts down, as in net/http.
	freshTime = 5 * time.Second
	// shutdownPoll is the time between two looks at the connections.
	shutdownPoll = 10 * time.Millisecond
)

// Shutdown closes the listeners and all idle connections, and waits for the requests in progress, until ctx ends. It
// does not shut the http.Server down.
func (s *Server) Shutdown(ctx context.Context) error {
	s.leave()
	ticker := time.NewTicker(shutdownPoll)
	defer ticker.Stop()
	for s.closeIdle() > 0 {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.served.Wait() // they have closed or handed over their connections
	return nil
}

// leave stops accepting. Responses close their connections from here on.
func (s *Server) leave() {
	s.leaving.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stop := range s.listeners {
		stop()
	}
}

// closeIdle closes the connections that are not in use, and returns the number of open ones.
func (s *Server) closeIdle() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		if c.state.CompareAndSwap(idle, closing) || time.Since(c.accepted) > freshTime && c.state.CompareAndSwap(fresh, closing) {
			_ = c.Close() // its goroutine ends
		}
	}
	return len(s.open)
}

// Close closes the listeners and all connections. It does not wait for the handlers.
func (s *Server) Close() error {
	s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close() // its handler is cut off
	}
	return nil
}

// takeBuffers returns buffers for a response.
func (s *Server) takeBuffers() *buffers {
	if b, ok := s.buffers.Get().(*buffers); ok {
		return b
	}
	return newBuffers()
}

// giveBuffers takes buffers back.
func (s *Server) giveBuffers(b *buffers) {
	if cap(b.head) > keepBytes {
		return
	}
	b.head = b.head[:0]
	b.pending.Reset(nil)
	b.out.Reset(nil)
	s.buffers.Put(b)
}

// dated is a Date field.
type dated struct {
	second int64
	text   string
}

// date returns the Date of a response.
func (s *Server) date() string {
	now := time.Now()
	if d := s.dated.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &dated{second: now.Unix(), text: now.UTC().Format(http.TimeFormat)}
	s.dated.Store(d)
	return d.text
}
