package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/conns"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
	"github.com/vespo-dev/vespo/internal/crew"
	"github.com/vespo-dev/vespo/internal/lane"
)

// surface is a listener and the HTTP server on it.
type surface struct {
	name     string // with its article: "the Lambda API"
	listener *conns.Listener
	server   *http.Server
	lane     *lane.Server  // in front of server; nil without one
	crew     *crew.Crew    // serves the streams of HTTP/2
	drain    time.Duration // for requests in flight, when stopping
	leaving  atomic.Bool   // atomic; the server is about to stop
	passed   atomic.Bool   // atomic; the socket was passed on, and the listener is closed
}

// newSurface returns the surface of a handler, without a listener.
func newSurface(name string, handler http.Handler, drain time.Duration, log *slog.Logger) *surface {
	f := &surface{name: name, drain: drain}
	f.crew = crew.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	}))
	f.server = newHTTPServer(f.crew, log)
	return f
}

// open listens and serves, as two parts of list. With fast, most requests of HTTP/1.1 do not pass through the HTTP server.
func (f *surface) open(ctx context.Context, list *parts.List, address string, cfg conns.Config, fast bool) error {
	watched, endWatch := context.WithCancel(context.WithoutCancel(ctx)) // connections are watched until the server is closed
	err := list.Open(ctx, parts.Part{
		Name: "the listener of " + f.name,
		Open: func(ctx context.Context) (err error) {
			f.listener, err = conns.Listen(ctx, address, cfg)
			return err
		},
		Run: func(context.Context) error { f.listener.Watch(watched); return nil },
		Close: func(context.Context) error {
			endWatch()
			if err := f.listener.Close(); !errors.Is(err, net.ErrClosed) { // the server closes it first
				return err
			}
			return nil
		},
	})
	if err != nil {
		endWatch()
		return err
	}
	f.server.ConnState = f.listener.ConnState
	if fast {
		f.lane = lane.New(f.server)
	}
	return list.Open(ctx, parts.Part{
		Name: f.name,
		Run: func(context.Context) error {
			if err := f.serve(); !errors.Is(err, http.ErrServerClosed) && !f.passed.Load() {
				return fmt.Errorf("accept connections of %s on %s: %w", f.name, f.listener.Addr(), err)
			}
			return nil
		},
		Close: f.stop,
	})
}

// serve serves connections until the listener is closed.
func (f *surface) serve() error {
	if f.lane != nil {
		return f.lane.Serve(f.listener)
	}
	return f.server.Serve(f.listener)
}

// shutdown closes the listener and waits for the requests in flight, until ctx ends.
func (f *surface) shutdown(ctx context.Context) error {
	if f.lane == nil {
		return f.server.Shutdown(ctx)
	}
	both := make(chan error, 1)
	go func() { both <- f.lane.Shutdown(ctx) }() // received below
	err := f.server.Shutdown(ctx)
	return errors.Join(err, <-both)
}

// stop closes the listener and waits for the requests in flight. When ctx ends, it cuts off the rest.
func (f *surface) stop(ctx context.Context) error {
	defer f.crew.Close()
	err := f.shutdown(ctx)
	if err == nil || ctx.Err() == nil {
		return err
	}
	_ = f.server.Close() // its error concerns connections that are cut off anyway
	if f.lane != nil {
		_ = f.lane.Close()
	}
	return fmt.Errorf("requests were cut off that had not ended within %s", f.drain)
}
