package outbound

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/runtime/abi"
)

// inProcess returns a RoundTripper to a service of this server. It calls the router, without a connection.
func (c *Client) inProcess(ctx context.Context, prefix routekey.Prefix) (http.RoundTripper, error) {
	depth := depthOf(ctx) + 1
	if depth > c.cfg.Limits.Depth {
		return nil, fail(abi.OutboundTooDeep, "services call each other more than %d deep", c.cfg.Limits.Depth)
	}
	return &inProcess{
		prefix: prefix,
		caller: c.cfg.Caller,
		depth:  depth,
		serve: func(w http.ResponseWriter, r *http.Request) error {
			return c.cfg.Router.Dispatch(prefix, w, r, nil)
		},
	}, nil
}

// inProcess implements http.RoundTripper by calling a handler of this server.
type inProcess struct {
	serve  func(w http.ResponseWriter, r *http.Request) error
	prefix routekey.Prefix // in front of the URL's path
	caller string
	depth  int
}

// RoundTrip returns the response once its header is known; the body streams. The goroutine ends
// with the called service, soon after ctx is done at the latest. Closing the body waits for it.
func (t *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(context.WithValue(r.Context(), depthKey{}, t.depth))
	in := r.Clone(ctx)
	in.Trailer = r.Trailer // filled at the end of the body
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
	s := newStreamWriter(w)
	in.Body = s.request.limit(in.Body)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer in.Body.Close()
		s.finish(t.answer(s, in))
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
	return &http.Response{
		StatusCode:    s.status,
		Header:        s.sent,
		Trailer:       s.trailer,
		ProtoMajor:    1,
		ProtoMinor:    1,
		Body:          &streamBody{PipeReader: body, cancel: cancel, done: done},
		ContentLength: -1,
		Request:       r,
	}, nil
}

// answer calls the handler. The calling guest gets a failure in the form that every client gets. The error means
// that the response broke off.
func (t *inProcess) answer(w http.ResponseWriter, r *http.Request) error {
	err := t.serve(w, r)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, http.ErrAbortHandler):
		return errBrokeOff
	}
	problem.Respond(w, r, w.Header().Get(router.RequestIDHeader), problem.From(err))
	return nil
}

// errBrokeOff hides the cause from the guest: the access record has it.
var errBrokeOff = errors.New("the service's answer broke off")

type streamBody struct {
	*io.PipeReader
	cancel context.CancelFunc
	done   chan struct{}
}

// Close cancels the called service's request and waits for its end.
func (b *streamBody) Close() error {
	b.cancel()
	err := b.PipeReader.CloseWithError(context.Canceled)
	<-b.done
	return err
}
