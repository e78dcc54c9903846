package client

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"time"
)

// Conn is the connection of a response to its client. The zero Conn has none.
type Conn struct{ w http.ResponseWriter }

// ConnOf returns the connection of w, which may wrap the server's ResponseWriter.
func ConnOf(w http.ResponseWriter) Conn { return Conn{w} }

// Flush sends the buffered data.
func (c Conn) Flush() error { return http.NewResponseController(c.w).Flush() }

// FullDuplex lets the response begin before the whole body of the request has been read. Otherwise HTTP/1 drops the
// rest of the body.
func (c Conn) FullDuplex() error { return http.NewResponseController(c.w).EnableFullDuplex() }

// Hijack takes over the connection, with the data already read from it.
func (c Conn) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(c.w).Hijack()
}

// Unhurried removes the deadlines of a request that may take long. A read deadline that passes while
// the handler works would look as if the client had disconnected.
func (c Conn) Unhurried() {
	c.readBy(time.Time{})
	c.writeBy(time.Time{})
}

// Received removes the server's read deadline from a request whose whole body was received without a Body.
func (c Conn) Received() { c.readBy(time.Time{}) }

// past is a deadline that ends reads and writes in progress.
func past() time.Time { return time.Unix(1, 0) }

func (c Conn) readBy(at time.Time) {
	if c.w != nil {
		_ = http.NewResponseController(c.w).SetReadDeadline(at)
	}
}

func (c Conn) writeBy(at time.Time) { _ = http.NewResponseController(c.w).SetWriteDeadline(at) }

// release returns the writing side to the server, whose own write timeout applies to the rest of the response
// and to the next request. ctx is that of the request.
func (c Conn) release(ctx context.Context) {
	until := time.Time{}
	if s, ok := ctx.Value(http.ServerContextKey).(*http.Server); ok && s.WriteTimeout > 0 {
		until = time.Now().Add(s.WriteTimeout)
	}
	c.writeBy(until)
}

// Controls lets a ResponseWriter without Unwrap pass on what a handler wants of the connection. It is meant to
// be embedded.
type Controls struct{ conn Conn }

// ControlsOf returns the controls of the connection of w.
func ControlsOf(w http.ResponseWriter) Controls { return Controls{Conn{w}} }

// SetReadDeadline is for http.ResponseController.
func (c Controls) SetReadDeadline(at time.Time) error {
	return http.NewResponseController(c.conn.w).SetReadDeadline(at)
}

// SetWriteDeadline is for http.ResponseController.
func (c Controls) SetWriteDeadline(at time.Time) error {
	return http.NewResponseController(c.conn.w).SetWriteDeadline(at)
}

// EnableFullDuplex is for http.ResponseController.
func (c Controls) EnableFullDuplex() error { return c.conn.FullDuplex() }
