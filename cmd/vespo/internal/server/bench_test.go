package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/lane"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// BenchmarkWarm measures a request for a warm service in a complete server, without the kernel's part. With -cpu, as many
// connections ask at once; their client has an address with a share.
func BenchmarkWarm(b *testing.B) {
	cfg, err := parse(b, "--data", b.TempDir(), "--slots=64")
	require.NoError(b, err)
	cfg.SharedCode = guests.CodeCache()
	ctx, cancel := context.WithCancel(b.Context())
	s := newServer(ctx, cfg, stdio.Streams{Err: io.Discard}, slog.New(slog.DiscardHandler))
	require.NoError(b, s.open(ctx))
	defer func() { cancel(); require.NoError(b, s.close()) }()
	require.NoError(b, s.load(ctx))
	require.NoError(b, s.startServices(ctx, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}))
	for _, g := range []struct {
		name   string
		path   string
		module func() []byte
	}{
		{"hello", "", func() []byte { return guests.Wat(b, "hello") }},
		{"sdkhello", "", func() []byte { return guests.SDK(b, "hello") }},
		{"gonethttp", "/hello/world", func() []byte { return guests.Go(b, "gonethttp") }},
	} {
		_, err := s.core.deployer.Add(ctx, services.Spec{Key: routekey.MustParse("/" + g.name), Kind: wasm.KindName, Blobs: services.Module(g.module())})
		require.NoError(b, err)
		b.Run(g.name, func(b *testing.B) {
			b.ReportAllocs()
			var all sync.WaitGroup
			conns := runtime.GOMAXPROCS(0)
			for range conns {
				all.Go(func() { benchmarkRequests(b, s.core.handler, "/"+g.name+g.path, (b.N+conns-1)/conns) })
			}
			all.Wait()
		})
	}
}

// benchmarkRequests serves the same request count times on a connection.
func benchmarkRequests(b *testing.B, handler http.Handler, path string, count int) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(b, err)
	defer conn.Close()
	f := newSurface("the benchmark", handler, 0, slog.New(slog.DiscardHandler))
	c := &endless{
		Conn:    conn,
		request: fmt.Sprintf("GET %s HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", path),
		count:   count,
		closed:  make(chan struct{}),
	}
	_ = lane.New(f.server).Serve(&single{Listener: listener, conn: c}) // fails after the connection
	<-c.closed
	require.Equal(b, "HTTP/1.1 200", c.answer)
}

// endless is a connection on which the same request comes count times. A read returns one request.
type endless struct {
	net.Conn
	request string
	count   int
	answer  string
	closed  chan struct{}
}

func (c *endless) Read(p []byte) (int, error) {
	if c.count--; c.count < 0 {
		return 0, io.EOF
	}
	return copy(p, c.request), nil
}

func (c *endless) Write(p []byte) (int, error) {
	if c.answer == "" {
		c.answer = string(p[:len("HTTP/1.1 200")])
	}
	return len(p), nil
}

func (c *endless) Close() error                    { close(c.closed); return nil }
func (c *endless) RemoteAddr() net.Addr            { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
func (c *endless) SetDeadline(time.Time) error     { return nil }
func (c *endless) SetReadDeadline(time.Time) error { return nil }

// single is a listener for one connection.
type single struct {
	net.Listener
	conn net.Conn
}

func (l *single) Accept() (c net.Conn, err error) {
	if c, l.conn = l.conn, nil; c == nil {
		return nil, errors.New("no more connections")
	}
	return c, nil
}
