package queue

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/services/internal/access"
)

// Limits of a worker's connection.
const (
	headerTimeout  = 10 * time.Second
	readTimeout    = 30 * time.Second // of an answer, from its first byte
	writeTimeout   = time.Minute      // of a request, including the wait for it
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 32 << 10
)

// exampleListen is a loopback address for workers, used in error messages.
const exampleListen = "127.0.0.1:4242"

// server serves workers. It owns up to two goroutines: they accept connections and watch them.
type server struct {
	address string             // immutable
	http    *http.Server       // immutable
	closing context.CancelFunc // immutable; releases waiting workers
	serving sync.WaitGroup
}

// enabled reports whether workers may be served on a listener with this address.
func enabled(addr net.Addr, token string) bool { return access.Enabled(addr, token) }

// newGuard returns the guard that authenticates workers.
func newGuard(token string) *access.Guard {
	return access.New(access.Surface{
		Name:       "the queue",
		ListenFlag: "--worker-listen",
		Example:    exampleListen,
		TokenFlag:  "--worker-token",
	}, token)
}

// watcher is implemented by listeners that close idle connections to make room for new ones.
type watcher interface {
	ConnState(c net.Conn, state http.ConnState)
	Watch(ctx context.Context)
}

// startServer serves on the listener until close.
func startServer(l net.Listener, handler http.Handler, log *slog.Logger) *server {
	base, closing := context.WithCancel(access.WithListener(context.Background(), l.Addr()))
	s := &server{
		address: l.Addr().String(),
		closing: closing,
		http: &http.Server{
			Handler:           handler,
			ReadHeaderTimeout: headerTimeout,
			ReadTimeout:       readTimeout,
			WriteTimeout:      writeTimeout,
			IdleTimeout:       idleTimeout,
			MaxHeaderBytes:    maxHeaderBytes,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			BaseContext:       func(net.Listener) context.Context { return base },
		},
	}
	if w, ok := l.(watcher); ok {
		s.http.ConnState = w.ConnState
		s.serving.Go(func() { w.Watch(base) })
	}
	log.Info("workers can connect", "address", s.address)
	s.serving.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("workers cannot connect any more", "address", s.address, "error", err)
		}
	})
	return s
}

// close waits until workers have sent the answers in progress,
// while ctx lasts, and disconnects all other workers at once.
func (s *server) close(ctx context.Context) {
	s.closing()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // close errors cannot be reported
	}
	s.serving.Wait()
}
