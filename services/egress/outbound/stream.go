package outbound

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// streamBufferBytes is how much the called service can write before it waits for the
// caller, as on a connection.
const streamBufferBytes = 4 << 10

// streamWriter is the http.ResponseWriter of an in-process call. It has deadlines,
// like a connection. A caller that does not read, or does not send its announced body,
// holds the called service and its slot no longer than an external client could.
type streamWriter struct {
	header  http.Header
	body    *bufio.Writer // into pipe
	pipe    *io.PipeWriter
	started chan struct{}
	once    sync.Once

	// Set before started is closed.
	status int
	sent   http.Header
	failed error

	trailer http.Header // filled before the body ends
	answer  deadline    // for the caller to read the response
	request deadline    // for the caller to send its body
}

func newStreamWriter(pipe *io.PipeWriter) *streamWriter {
	w := &streamWriter{header: http.Header{}, pipe: pipe, body: bufio.NewWriterSize(pipe, streamBufferBytes), started: make(chan struct{})}
	w.answer.expire = func() { _ = pipe.CloseWithError(os.ErrDeadlineExceeded) }
	return w
}

func (w *streamWriter) Header() http.Header { return w.header }

func (w *streamWriter) WriteHeader(status int) {
	if status < 200 {
		return
	}
	w.once.Do(func() {
		w.status, w.sent, w.trailer = status, w.header.Clone(), http.Header{}
		close(w.started)
	})
}

func (w *streamWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// FlushError implements an interface of http.ResponseController, like the methods below.
func (w *streamWriter) FlushError() error {
	w.WriteHeader(http.StatusOK)
	return w.body.Flush()
}

// SetWriteDeadline bounds how long writes wait for the caller.
func (w *streamWriter) SetWriteDeadline(at time.Time) error {
	w.answer.set(at)
	return nil
}

// SetReadDeadline bounds how long reads of the request's body wait for the caller.
func (w *streamWriter) SetReadDeadline(at time.Time) error {
	w.request.set(at)
	return nil
}

// EnableFullDuplex does nothing: a pipe is full duplex.
func (w *streamWriter) EnableFullDuplex() error { return nil }

// finish ends the response. The buffered rest may still wait for the caller, but the service has returned.
func (w *streamWriter) finish(err error) {
	w.once.Do(func() {
		w.status, w.sent, w.trailer, w.failed = http.StatusOK, w.header.Clone(), http.Header{}, err
		close(w.started)
	})
	for name, values := range w.header {
		if trailer, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			w.trailer[trailer] = values
		}
	}
	w.answer.set(time.Time{})
	w.request.set(time.Time{})
	if err == nil {
		err = w.body.Flush() // a flush to a closed pipe fails; closing it again has no effect
	}
	_ = w.pipe.CloseWithError(err) // nil is io.EOF
}

// deadline ends waiting once, at a time that can be moved. The zero value never expires.
type deadline struct {
	expire func() // immutable once a time is set

	mu    sync.Mutex
	timer *time.Timer // guarded by mu
}

// set moves the deadline. The zero time removes it.
func (d *deadline) set(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if !at.IsZero() && d.expire != nil {
		d.timer = time.AfterFunc(time.Until(at), d.expire)
	}
}

// limit returns body with reads bounded by the deadline.
func (d *deadline) limit(body io.ReadCloser) io.ReadCloser {
	if body == http.NoBody {
		return body
	}
	limited := &limitedBody{ReadCloser: body}
	d.expire = func() {
		limited.late.Store(true)
		_ = body.Close()
	}
	return limited
}

// limitedBody is a body whose reads may have passed their deadline.
type limitedBody struct {
	io.ReadCloser
	late atomic.Bool
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF && b.late.Load() {
		err = os.ErrDeadlineExceeded
	}
	return n, err
}
