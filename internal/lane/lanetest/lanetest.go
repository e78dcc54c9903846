// Package lanetest runs tests of HTTP behaviour on net/http alone and with the fast lane in front of it.
package lanetest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane"
)

// Kind is a way to serve.
type Kind string

// The ways to serve.
const (
	NetHTTP Kind = "net/http"
	Lane    Kind = "lane"
)

// Both runs a test for each kind of server.
func Both(t *testing.T, test func(t *testing.T, kind Kind)) {
	t.Helper()
	for _, kind := range []Kind{NetHTTP, Lane} {
		t.Run(string(kind), func(t *testing.T) { test(t, kind) })
	}
}

// Main runs all tests of a package for each kind, which use gets before, and returns the exit code. Fuzz targets run once.
func Main(m *testing.M, use func(Kind)) (code int) {
	kinds := []Kind{NetHTTP, Lane}
	if slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.fuzz=") }) {
		kinds = kinds[1:]
	}
	for _, kind := range kinds {
		use(kind)
		if code = m.Run(); code != 0 {
			fmt.Fprintln(os.Stderr, "these were the tests on", kind)
			return code
		}
	}
	return code
}

// Server is a server of a kind.
type Server struct {
	Addr string // of Start
	HTTP *http.Server
	Lane *lane.Server // nil without one
}

// New returns a server that does not serve yet.
func (k Kind) New(server *http.Server) *Server {
	s := &Server{HTTP: server}
	if k == Lane {
		s.Lane = lane.New(server)
	}
	return s
}

// Serve serves until the listener is closed.
func (s *Server) Serve(l net.Listener) error {
	if s.Lane != nil {
		return s.Lane.Serve(l)
	}
	return s.HTTP.Serve(l)
}

// stopTime bounds the wait for requests at the end of a test.
const stopTime = 10 * time.Second

// Start serves the handler on a loopback port until the test ends.
func (k Kind) Start(tb testing.TB, handler http.Handler) *Server {
	return k.StartServer(tb, &http.Server{Handler: handler})
}

// StartServer is Start for a server with more settings.
func (k Kind) StartServer(tb testing.TB, server *http.Server) *Server {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	return k.startOn(tb, server, listener)
}

// StartTLS is Start with TLS and a certificate for tests. It offers HTTP/2, too.
func (k Kind) StartTLS(tb testing.TB, handler http.Handler) *Server {
	tb.Helper()
	return k.StartTLSWith(tb, handler, func(*http.Server) {})
}

// StartTLSWith is StartTLS for a server with more settings.
func (k Kind) StartTLSWith(tb testing.TB, handler http.Handler, set func(*http.Server)) *Server {
	tb.Helper()
	issuer := httptest.NewTLSServer(nil)
	config := &tls.Config{Certificates: issuer.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}}
	issuer.Close()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	require.NoError(tb, err)
	server := &http.Server{Handler: handler}
	set(server)
	return k.startOn(tb, server, listener)
}

func (k Kind) startOn(tb testing.TB, server *http.Server, listener net.Listener) *Server {
	tb.Helper()
	if server.ErrorLog == nil {
		server.ErrorLog = log.New(io.Discard, "", 0)
	}
	s := k.New(server)
	s.Addr = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.Serve(listener) }() // received at the end of the test
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTime)
		defer cancel()
		if s.Stop(ctx) != nil {
			s.Close()
		}
		require.ErrorIs(tb, <-served, http.ErrServerClosed)
	})
	return s
}

// Stop stops the server, as one with both is stopped. It may be called again.
func (s *Server) Stop(ctx context.Context) error {
	if s.Lane != nil {
		if err := s.Lane.Shutdown(ctx); err != nil {
			return err
		}
	}
	return s.HTTP.Shutdown(ctx)
}

// Close cuts all connections off.
func (s *Server) Close() {
	if s.Lane != nil {
		_ = s.Lane.Close() // connections are cut off anyway
	}
	_ = s.HTTP.Close()
}

// Front puts the kind of server in front of an httptest.Server that was not started.
func (k Kind) Front(server *httptest.Server) *httptest.Server {
	if k == Lane {
		server.Listener = &front{Listener: server.Listener, server: server}
	}
	return server
}

// front is a listener whose connections are all served by a lane. The lane hands some over to the HTTP server, without
// this listener.
type front struct {
	net.Listener
	server *httptest.Server
}

// Accept serves connections, and returns when the listener is closed.
func (f *front) Accept() (net.Conn, error) {
	hook := f.server.Config.ConnState
	f.server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if handed, ok := c.(interface{ NetConn() net.Conn }); ok {
			if state == http.StateNew {
				return // known
			}
			c = handed.NetConn()
		}
		hook(c, state)
	}
	return nil, lane.New(f.server.Config).Serve(f.Listener)
}
