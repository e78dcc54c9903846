package router

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// responseWriter is the http.ResponseWriter that handlers get. It records what was answered and otherwise stays out of the
// way: http.ResponseController reaches the server's writer through Unwrap.
//
// The first final status wins and later ones are dropped, as net/http does, but without its complaint in the log.
type responseWriter struct {
	inner     http.ResponseWriter // immutable
	head      bool                // immutable; the request's method is HEAD
	http1     bool                // immutable
	body      *countingBody       // immutable; nil if the request has none
	requestID [1]string           // immutable; the header's value, kept here to save its allocation
	status    int                 // 0 until a final status is committed
	bytes     int64               // body bytes taken by the server
	ttfb      time.Duration       // from the request to commit
	hijacked  bool
	owner     *exchange    // immutable; has what was admitted for the request; nil in tests
	duplex    bool         // the handler reads and writes at a time
	leaving   *atomic.Bool // immutable; the server is about to stop; nil for requests of its own
}

// Header is the header of the answer, and its trailer afterwards as described at http.ResponseWriter.
func (w *responseWriter) Header() http.Header { return w.inner.Header() }

// WriteHeader sends a status: any number of 1xx ones before the final one.
func (w *responseWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.inner.WriteHeader(status)
		return
	}
	// Set late and over whatever the handler has put there: the id of the answer is the one of the record.
	w.inner.Header()[RequestIDHeader] = w.requestID[:]
	filterAnnounced(w.inner.Header())
	if w.leavesBody() || w.leaving != nil && w.leaving.Load() && status != http.StatusSwitchingProtocols {
		w.inner.Header().Set("Connection", "close")
	}
	w.inner.WriteHeader(status) // panics on a status that is not one, and then none is committed
	w.status = status
	if w.owner != nil {
		w.ttfb = time.Since(w.owner.record.Time)
	}
}

// commit sends the status 200 if there was none.
func (w *responseWriter) commit() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

// Write sends a part of the body.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.commit()
	n, err := w.inner.Write(p)
	w.count(int64(n))
	return n, err
}

// WriteString is Write without a copy of s where the server can do without.
func (w *responseWriter) WriteString(s string) (int, error) {
	w.commit()
	n, err := io.WriteString(w.inner, s)
	w.count(int64(n))
	return n, err
}

// ReadFrom lets io.Copy use what the server has for it, such as sendfile.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	w.commit()
	n, err := io.Copy(w.inner, src)
	w.count(n)
	return n, err
}

// count leaves out the body of an answer to HEAD, which the server takes and does not send.
func (w *responseWriter) count(n int64) {
	if !w.head {
		w.bytes += n
	}
}

// Flush sends what is buffered, for those who do not want to know if that fails.
func (w *responseWriter) Flush() { _ = w.FlushError() }

// FlushError sends what is buffered.
func (w *responseWriter) FlushError() error {
	w.commit()
	return http.NewResponseController(w.inner).Flush()
}

// EnableFullDuplex lets the handler read the request's body after it has begun to answer.
func (w *responseWriter) EnableFullDuplex() error {
	err := http.NewResponseController(w.inner).EnableFullDuplex()
	w.duplex = err == nil
	return err
}

// leavesBody tells whether a body may be left on the connection that the HTTP server would take for the next request. It sees to that
// itself, but for full duplex.
func (w *responseWriter) leavesBody() bool {
	return w.duplex && w.http1 && w.body != nil && !w.body.ended.Load()
}

// Hijack gives the connection to the handler, which then notes in the record what it has sent over it.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(w.inner).Hijack()
	if err == nil {
		if w.hijacked = true; w.owner != nil {
			w.owner.release(time.Now()) // a tunnel takes a place of its own
		}
	}
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.inner }
