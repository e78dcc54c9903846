package lane

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// sniffBytes is the most that http.DetectContentType looks at.
const sniffBytes = 512

// response is the http.ResponseWriter of a request. It sends the same bytes as the one of net/http. It belongs to one
// request: a goroutine that outlives its handler gets errors, and never reaches the next request.
//
// The beginning of the body waits in buffers.pending, so that a short response gets a Content-Length. Afterwards, the body
// passes through buffers.out, in chunks unless its length is known.
type response struct {
	conn    *conn         // immutable
	request *http.Request // immutable
	body    *body         // immutable; nil without one
	header  http.Header   // of the handler; nil before the first use
	spent   bool          // set by Spent, on the goroutine of the handler

	mu       sync.Mutex
	buffers  *buffers // guarded by mu, as all below; nil once the response is over, or hijacked
	plan     plan     // set by WriteHeader
	status   int      // 0 before WriteHeader
	written  int64    // bytes of the body, as the handler wrote them
	done     bool     // the handler has returned
	sent     bool     // the header is in buffers.out
	chunked  bool     // set with sent
	duplex   bool     // the body of the request is left alone
	close    bool     // the connection is closed after the response
	hijacked bool     // the handler has taken the connection over
	gentle   bool     // the client gets time to read the response before that
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeaderLocked(status)
}

func (w *response) writeHeaderLocked(status int) {
	switch {
	case w.buffers == nil:
		return
	case w.status != 0:
		w.conn.server.logf("lane: superfluous WriteHeader")
		return
	case status < 100 || status > 999:
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.informLocked(status)
		return
	}
	w.status = status
	w.buffers.head = appendStatus(w.buffers.head[:0], status)
	w.buffers.head = w.plan.take(w.buffers.head, w.Header(), status)
}

// informLocked sends a 1xx response, with the header so far.
func (w *response) informLocked(status int) {
	var p plan
	head := p.take(appendStatus(w.buffers.head[:0], status), w.Header(), status)
	w.buffers.head = append(appendField(head, "Connection", p.connection...), "\r\n"...)
	_, _ = w.buffers.out.Write(w.buffers.head) // the connection keeps the error
	_ = w.buffers.out.Flush()
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.beginWriteLocked(len(p)); err != nil || len(p) == 0 {
		return 0, err
	}
	return w.buffers.pending.Write(p)
}

// WriteString implements io.StringWriter.
func (w *response) WriteString(s string) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.beginWriteLocked(len(s)); err != nil || s == "" {
		return 0, err
	}
	return w.buffers.pending.WriteString(s)
}

// beginWriteLocked returns an error if a part of the body must not be sent.
func (w *response) beginWriteLocked(size int) error {
	if w.buffers == nil {
		return w.overLocked()
	}
	if w.status == 0 {
		w.writeHeaderLocked(http.StatusOK)
	}
	if size == 0 {
		return nil
	}
	if !bodyAllowed(w.status) {
		return http.ErrBodyNotAllowed
	}
	if w.written += int64(size); w.plan.length >= 0 && w.written > w.plan.length {
		return http.ErrContentLength
	}
	return nil
}

// bodyAllowed reports whether a response with the status can have a body.
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// ReadFrom implements io.ReaderFrom: the connection may send files by the kernel.
func (w *response) ReadFrom(src io.Reader) (total int64, err error) {
	if !w.headerSent() {
		// The source must be able to begin before the header is sent, and its type may be needed.
		total, err = io.Copy(writerOnly{w}, io.LimitReader(src, sniffBytes))
		if err != nil || total < sniffBytes {
			return total, err
		}
	}
	w.mu.Lock()
	if w.buffers == nil || w.flushLocked() != nil || w.chunked || !bodyAllowed(w.status) || w.request.Method == http.MethodHead {
		w.mu.Unlock()
		n, err := io.Copy(writerOnly{w}, src)
		return total + n, err
	}
	defer w.mu.Unlock()
	n, err := w.conn.readFrom(src)
	w.written += n
	return total + n, err
}

func (w *response) headerSent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent
}

// writerOnly hides ReadFrom from io.Copy.
type writerOnly struct{ io.Writer }

// Flush implements http.Flusher.
func (w *response) Flush() { _ = w.FlushError() }

// FlushError sends the buffered data.
func (w *response) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.buffers == nil {
		return w.overLocked()
	}
	return w.flushLocked()
}

// errOver is the error of writing after the handler has returned.
var errOver = errors.New("the handler has returned")

// overLocked returns the error of a response that takes no more.
func (w *response) overLocked() error {
	if w.hijacked {
		return http.ErrHijacked
	}
	return errOver
}

func (w *response) flushLocked() error {
	if w.status == 0 {
		w.writeHeaderLocked(http.StatusOK)
	}
	err := w.buffers.pending.Flush()
	w.sendHeaderLocked(nil)
	if flushed := w.buffers.out.Flush(); err == nil {
		err = flushed
	}
	return err
}

// SetReadDeadline is for http.ResponseController.
func (w *response) SetReadDeadline(at time.Time) error {
	w.conn.timed.Store(true)
	return w.conn.SetReadDeadline(at)
}

// SetWriteDeadline is for http.ResponseController.
func (w *response) SetWriteDeadline(at time.Time) error {
	w.conn.timed.Store(true)
	return w.conn.SetWriteDeadline(at)
}

// EnableFullDuplex is for http.ResponseController.
func (w *response) EnableFullDuplex() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.duplex = true
	return nil
}

// Spent promises that no goroutine uses the request, or its response, once the handler has returned. They may serve
// another request then.
func (w *response) Spent() { w.spent = true }

// CloseGently closes the connection after the response, so that a client which still sends can read it. Package client
// asks for that, as http.MaxBytesReader does of net/http.
func (w *response) CloseGently() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closeGentlyLocked()
	if w.status == 0 {
		w.Header().Set("Connection", "close")
	}
}

func (w *response) closeGentlyLocked() { w.close, w.gentle = true, true }

// finish completes the response after the handler has returned.
func (w *response) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = true
	if w.status == 0 {
		w.writeHeaderLocked(http.StatusOK)
	}
	_ = w.buffers.pending.Flush() // the connection keeps the error
	w.sendHeaderLocked(nil)
	if w.chunked {
		w.endChunksLocked()
	}
	_ = w.buffers.out.Flush()
}

// endChunksLocked ends a chunked body, with its trailer.
func (w *response) endChunksLocked() {
	end := append(w.buffers.head[:0], "0\r\n"...)
	end = appendTrailer(end, w.header, w.plan.trailers)
	w.buffers.head = append(end, "\r\n"...)
	_, _ = w.buffers.out.Write(w.buffers.head)
}

// release ends the use of the buffers, and returns them.
func (w *response) release() *buffers {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.buffers
	w.buffers = nil
	return b
}

// reusable reports whether the connection can have another request after a response that is finished.
func (w *response) reusable() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	short := w.plan.length >= 0 && w.request.Method != http.MethodHead && bodyAllowed(w.status) && w.written != w.plan.length
	return !w.close && !short
}

// chunks sends the parts of a body that leave buffers.pending.
type chunks struct{ of *response }

// Write implements io.Writer. response.mu is locked.
func (c chunks) Write(p []byte) (int, error) {
	w := c.of
	w.sendHeaderLocked(p)
	out := w.buffers.out
	if w.request.Method == http.MethodHead {
		return len(p), nil
	}
	if w.chunked {
		size := append(strconv.AppendInt(out.AvailableBuffer(), int64(len(p)), 16), "\r\n"...)
		_, _ = out.Write(size) // an error is returned below again
	}
	n, err := out.Write(p)
	if w.chunked {
		_, err = out.WriteString("\r\n")
	}
	if err != nil {
		_ = w.conn.Close()
	}
	return n, err
}
