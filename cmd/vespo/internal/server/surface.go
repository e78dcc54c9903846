package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
)

// surface is a listener besides the public one, and its server.
type surface struct {
	name     string // for output, at the beginning of a line: "the Lambda API"
	address  string
	server   *http.Server
	work     func(context.Context) // runs while the surface serves, until its context ends; may be nil
	close    func() error          // called when the goroutines have ended; may be nil
	leaving  atomic.Bool           // atomic; the server is about to stop
	listener *conns.Listener       // set by open
	failed   error                 // why it stopped accepting; written by its goroutine, read after that has ended
}

// open listens, and serves until stop. owned counts its goroutines. Connections are watched
// until watched ends. If accepting fails, open's goroutine calls cancel, which ends the server.
func (f *surface) open(ctx, watched context.Context, s *server, owned *sync.WaitGroup, cancel context.CancelCauseFunc) error {
	l, err := conns.Listen(ctx, f.address, s.cfg.connections("--lambda-listen", s.log))
	if err != nil {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	f.listener, f.server.ConnState = l, l.ConnState
	handler := f.server.Handler
	f.server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	})
	owned.Go(func() {
		if err := f.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			f.failed = fmt.Errorf("accept connections of %s on %s: %w", f.name, l.Addr(), err)
			cancel(f.failed)
		}
	})
	owned.Go(func() { l.Watch(watched) })
	if f.work != nil {
		owned.Go(func() { f.work(ctx) })
	}
	fmt.Fprintf(s.streams.Err, "%s on http://%s\n", f.name, l.Addr())
	return nil
}

// stop closes the listener and waits for the requests in flight. When ctx ends, it cuts off the rest.
func (f *surface) stop(ctx context.Context) error {
	err := f.server.Shutdown(ctx)
	if err != nil {
		_ = f.server.Close() // its error concerns connections that are cut off anyway
	}
	return err
}

// closeSurfaces closes the surfaces' resources, and returns
// why surfaces have failed. Their goroutines must have ended.
func (p *parts) closeSurfaces() error {
	var errs []error
	for _, f := range p.surfaces {
		errs = append(errs, f.failed)
		if f.close != nil {
			errs = append(errs, f.close())
		}
	}
	return errors.Join(errs...)
}
