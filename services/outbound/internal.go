package outbound

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/runtime/abi"
)

// inProcess gives the way to a service of this server: the router, without a connection.
func (c *Client) inProcess(ctx context.Context, prefix router.Prefix) (http.RoundTripper, error) {
	depth := depthOf(ctx) + 1
	if depth > c.cfg.Limits.Depth {
		return nil, fail(abi.OutboundTooDeep, "services call each other more than %d deep", c.cfg.Limits.Depth)
	}
	return &inProcess{router: c.cfg.Router, prefix: prefix, caller: c.cfg.Caller, depth: depth}, nil
}

// inProcess implements http.RoundTripper by a call of the router.
type inProcess struct {
	router Dispatcher
	prefix router.Prefix
	caller string
	depth  int
}

// RoundTrip gives the answer once its header is known; the body streams. The goroutine ends when the called service has, at
// the latest soon after ctx is done, and closing the body waits for it.
func (t *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), depthKey{}, t.depth))
	in := r.Clone(ctx)
	path := strings.TrimSuffix(string(t.prefix), "/") + in.URL.EscapedPath()
	u, err := in.URL.Parse(path)
	if err != nil {
		cancel()
		return nil, fail(abi.OutboundInvalid, "the path %.200q: %v", path, err)
	}
	u.RawQuery = in.URL.RawQuery
	u.Scheme, u.Host = "", ""
	in.URL, in.RequestURI, in.RemoteAddr = u, u.RequestURI(), "vespo:"+t.caller
	if in.Body == nil {
		in.Body = http.NoBody
	}
	body, w := io.Pipe()
	s := &streamWriter{header: http.Header{}, body: w, started: make(chan struct{})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer in.Body.Close()
		s.finish(t.serve(s, in))
	}()
	select {
	case <-s.started:
	case <-ctx.Done():
		body.CloseWithError(ctx.Err())
		cancel()
		<-done
		return nil, ctx.Err()
	}
	if s.failed != nil {
		cancel()
		<-done
		return nil, s.failed
	}
	return &http.Response{StatusCode: s.status, Header: s.sent, Trailer: s.trailer, ProtoMajor: 1, ProtoMinor: 1,
		Body: &streamBody{PipeReader: body, cancel: cancel, done: done}, ContentLength: -1, Request: r}, nil
}

// serve calls the service and turns the router's panic into an error: http.ErrAbortHandler means that the answer broke off.
func (t *inProcess) serve(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the service's answer broke off: %v", v)
		}
	}()
	t.router.ServeService(t.prefix, w, r)
	return nil
}

// streamWriter is the http.ResponseWriter of an in-process call.
type streamWriter struct {
	header  http.Header
	body    *io.PipeWriter
	started chan struct{}
	once    sync.Once

	// Set before started is closed.
	status int
	sent   http.Header
	failed error

	trailer http.Header // filled before the body ends
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

// FlushError makes http.ResponseController's Flush work: nothing is held back here.
func (w *streamWriter) FlushError() error {
	w.WriteHeader(http.StatusOK)
	return nil
}

// finish ends the answer.
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
	w.body.CloseWithError(err) // nil is io.EOF
}

type streamBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close ends the called service's request and waits for it.
func (b *streamBody) Close() error {
	b.cancel()
	err := b.PipeReader.CloseWithError(context.Canceled)
	<-b.done
	return err
}
