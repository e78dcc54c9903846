package router

import (
	"bufio"
	"net"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/halfclose"
)

// tunnel is the client's connection after a handler has hijacked it. It counts what it carries. One
// goroutine may read while another writes.
type tunnel struct {
	net.Conn
	ahead    *bufio.Reader // bytes that the server had already read; they come first
	received atomic.Int64
	sent     atomic.Int64
}

// Read implements io.Reader.
func (t *tunnel) Read(p []byte) (n int, err error) {
	if waiting := t.ahead.Buffered(); waiting > 0 {
		n, err = t.ahead.Read(p[:min(len(p), waiting)])
	} else {
		n, err = t.Conn.Read(p)
	}
	t.received.Add(int64(n))
	return n, err
}

// Write implements io.Writer.
func (t *tunnel) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	t.sent.Add(int64(n))
	return n, err
}

// CloseWrite signals to the client that nothing more will be sent.
func (t *tunnel) CloseWrite() error {
	return halfclose.CloseWrite(t.Conn)
}
