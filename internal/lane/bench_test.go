package lane_test

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/vespo-dev/vespo/internal/lane"
)

// endless is a connection on which the same request comes count times. A read returns one request.
type endless struct {
	net.Conn
	request string
	count   int
	closed  chan struct{}
}

// Read implements net.Conn.
func (c *endless) Read(p []byte) (int, error) {
	if c.count--; c.count < 0 {
		return 0, io.EOF
	}
	return copy(p, c.request), nil
}

// Write implements net.Conn.
func (c *endless) Write(p []byte) (int, error) { return len(p), nil }

// Close implements net.Conn.
func (c *endless) Close() error { close(c.closed); return nil }

// SetDeadline implements net.Conn.
func (c *endless) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (c *endless) SetReadDeadline(time.Time) error { return nil }

// single is a listener for one connection.
type single struct {
	net.Listener
	conns chan net.Conn
}

// Accept implements net.Listener.
func (l single) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	default:
		return nil, errors.New("no more connections")
	}
}

// BenchmarkRequest measures a small request without the kernel's part.
func BenchmarkRequest(b *testing.B) {
	const request = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
	server := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = []string{"text/plain"}
			_, _ = io.WriteString(w, "hello from vespo\n")
		}),
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	b.ReportAllocs()
	c := &endless{Conn: conn, request: request, count: b.N, closed: make(chan struct{})}
	conns := make(chan net.Conn, 1)
	conns <- c
	_ = lane.New(server).Serve(single{listener, conns}) // fails after the connection
	<-c.closed
}
