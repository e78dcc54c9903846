package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
)

// surface is what a server answers on a listener beside the public one.
type surface struct {
	name     string // begins a line of output: "the Lambda API"
	address  string
	server   *http.Server
	work     func(context.Context) // done beside serving until its end; may be nil
	close    func() error          // called when all that was started has ended; may be nil
	leaving  atomic.Bool           // atomic; the server is about to stop
	listener *conns.Listener       // set by open
	failed   error                 // why it accepts no more; written by its goroutine, read after that has ended
}

// open listens and serves until stop; what it starts is counted in owned. Connections are bounded until watched ends. cancel ends the
// server if it accepts no more.
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
	fmt.Fprintf(s.streams.err, "%s on http://%s\n", f.name, l.Addr())
	return nil
}

// stop takes no new connections, and waits for the requests in flight; those that outlive ctx are cut off.
func (f *surface) stop(ctx context.Context) error {
	err := f.server.Shutdown(ctx)
	if err != nil {
		_ = f.server.Close() // what it closes are connections to clients who are cut off
	}
	return err
}

// closeSurfaces closes what surfaces have, and tells why they failed. Nothing of them may run any more.
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
