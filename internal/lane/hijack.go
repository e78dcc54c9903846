package lane

import (
	"bufio"
	"net"
	"net/http"
)

// Hijack implements http.Hijacker. Clients that switch protocols send Upgrade, and are served by net/http. This is for the
// other handlers that take a connection over.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.conn
	if w.buffers == nil || w.done {
		return nil, nil, http.ErrHijacked
	}
	if w.status != 0 {
		w.sendHeaderLocked(nil)
		_ = w.buffers.out.Flush() // the connection keeps the error
	}
	c.watch.stop()
	if w.body != nil {
		w.body.giveUp()
	}
	if err := c.SetDeadline(noDeadline); err != nil {
		return nil, nil, err
	}
	c.server.giveBuffers(w.buffers)
	w.buffers, w.hijacked = nil, true
	from := bufio.NewReaderSize(&replayed{Conn: c.Conn, ahead: c.in[c.start:c.end]}, headBytes)
	if _, err := from.Peek(c.end - c.start); err != nil {
		return nil, nil, err
	}
	c.server.tell(c.Conn, http.StateHijacked)
	c.server.forget(c)
	return c.Conn, bufio.NewReadWriter(from, bufio.NewWriterSize(c.Conn, outBytes)), nil
}

// taken reports whether the handler has taken the connection over.
func (w *response) taken() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hijacked
}
