package router

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/httpfield"
)

// strictTransport is the field that makes browsers use https alone, RFC 6797.
const strictTransport = "Strict-Transport-Security"

// responseWriter is the http.ResponseWriter of handlers. It records the response.
// http.ResponseController reaches the server's writer through Unwrap.
//
// The first final status wins and later ones are dropped, as in net/http, but without its log message.
type responseWriter struct {
	inner     http.ResponseWriter // immutable
	head      bool                // immutable; the request's method is HEAD
	http1     bool                // immutable
	body      *countingBody       // immutable; nil if the request has no body
	requestID [1]string           // immutable; the header's value, kept here to save an allocation
	status    int                 // 0 until a final status is committed
	bytes     int64               // body bytes accepted by the server
	ttfb      time.Duration       // from the start of the request to the final status
	tunnel    *tunnel             // nil unless the handler has hijacked the connection
	owner     *exchange           // immutable; the exchange of the request; nil in tests
	duplex    bool                // the handler reads and writes at the same time
	cookie    string              // set with the response, so that the client stays with its version; "": none
	report    *report             // nil unless the client asks for one
	tee       *Copy               // nil unless the request is mirrored
	caching   *caching            // nil unless the service has a cache
	leaving   *atomic.Bool        // immutable; the server is about to stop; nil for requests between services
	strict    []string            // immutable; of Config.StrictTransport; nil: none
}

// Header returns the header of the response, and afterwards its trailer, see http.ResponseWriter.
func (w *responseWriter) Header() http.Header { return w.inner.Header() }

// WriteHeader sends a status: any number of 1xx ones before the final one.
func (w *responseWriter) WriteHeader(status int) {
	if w.status != 0 {
		return
	}
	delete(w.inner.Header(), httpfield.ReportHeader) // only the server itself reports
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		w.inner.WriteHeader(status)
		return
	}
	if w.caching != nil {
		status = w.caching.answered(w.owner, status, w.inner.Header())
	}
	// Set last, over a value of the handler: the response must have the id of the record.
	w.inner.Header()[RequestIDHeader] = w.requestID[:]
	if w.cookie != "" {
		w.inner.Header().Add("Set-Cookie", w.cookie)
	}
	filterAnnounced(w.inner.Header())
	if w.strict != nil && w.inner.Header()[strictTransport] == nil {
		w.inner.Header()[strictTransport] = w.strict
	}
	if w.leavesBody() || w.leaving != nil && w.leaving.Load() && status != http.StatusSwitchingProtocols {
		w.inner.Header().Set("Connection", "close")
	}
	if w.tee != nil {
		w.tee.Header = w.inner.Header().Clone()
	}
	if w.reports() {
		w.announceReport(status)
	}
	if !w.held() {
		w.inner.WriteHeader(status) // panics on an invalid status; then none is committed
	}
	w.status = status
	if w.owner != nil {
		w.ttfb = time.Since(w.owner.request.Arrived)
	}
	if w.rescued() {
		w.sendStale()
	}
}

// commit sends the status 200 unless a status was sent.
func (w *responseWriter) commit() {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
}

// Write sends a part of the body.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.commit()
	switch {
	case w.rescued():
		return len(p), nil
	case w.report != nil:
		return w.writeReported(p)
	}
	return w.write(p)
}

// write sends a part of the body of a committed response.
func (w *responseWriter) write(p []byte) (int, error) {
	n, err := w.inner.Write(p)
	w.copyTo(p[:n])
	w.noteSent(err)
	w.count(int64(n))
	return n, err
}

// WriteString is like Write, without copying s if the server supports that.
func (w *responseWriter) WriteString(s string) (int, error) {
	w.commit()
	switch {
	case w.rescued():
		return len(s), nil
	case w.report != nil:
		return w.writeReported([]byte(s))
	}
	n, err := io.WriteString(w.inner, s)
	if w.tee != nil || w.fill() != nil {
		w.copyTo([]byte(s[:n]))
	}
	w.noteSent(err)
	w.count(int64(n))
	return n, err
}

// ReadFrom lets io.Copy use optimisations of the server such as sendfile.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	w.commit()
	if w.report != nil || w.rescued() {
		return io.Copy(onlyWriter{w}, src)
	}
	if w.tee != nil {
		src = io.TeeReader(src, answerTee{w.tee})
	}
	if f := w.fill(); f != nil {
		src = io.TeeReader(src, f)
	}
	n, err := io.Copy(w.inner, src)
	w.noteSent(err)
	w.count(n)
	return n, err
}

// copyTo records a sent part of the body for the mirror and the cache.
func (w *responseWriter) copyTo(p []byte) {
	if w.tee != nil {
		w.tee.addAnswer(p)
	}
	if f := w.fill(); f != nil {
		_, _ = f.Write(p) // never fails
	}
}

// count adds n to the sent bytes, except for HEAD: the server accepts that body and does not send it.
func (w *responseWriter) count(n int64) {
	if !w.head {
		w.bytes += n
	}
}

// Flush sends buffered data and ignores errors.
func (w *responseWriter) Flush() { _ = w.FlushError() }

// FlushError sends buffered data.
func (w *responseWriter) FlushError() error {
	if w.commit(); w.held() {
		return nil
	}
	return client.ConnOf(w.inner).Flush()
}

// EnableFullDuplex lets the handler read the request's body after it has begun the response.
func (w *responseWriter) EnableFullDuplex() error {
	err := client.ConnOf(w.inner).FullDuplex()
	w.duplex = err == nil
	return err
}

// leavesBody reports whether the connection may have an unread body, which the HTTP server
// would parse as the next request. net/http prevents that itself except in full duplex.
func (w *responseWriter) leavesBody() bool {
	return w.duplex && w.http1 && w.body != nil && !w.body.ended.Load()
}

// Hijack passes the connection to the handler, which must answer with the status 101. Reads of the
// connection begin with the data that the server has already read.
func (w *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := client.ConnOf(w.inner).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.tunnel, w.status = &tunnel{Conn: conn, ahead: buffered.Reader}, http.StatusSwitchingProtocols
	if w.owner != nil {
		now := time.Now()
		w.ttfb = now.Sub(w.owner.request.Arrived)
		w.owner.release(now) // a tunnel takes a place of its own
	}
	return w.tunnel, buffered, nil
}

// Unwrap returns the server's writer, for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.inner }
