package wasm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// warmUps returns the functions that warm an instance up before the snapshot, one for each request. A single request is sent
// twice: a module that can serve only one would fail in each request to come.
func (d *deployment) warmUps() (all []engine.WarmUp) {
	requests, _ := parseWarm(d.doc.Warm) // checked before
	if len(requests) == 1 {
		requests = append(requests, requests[0])
	}
	for i, r := range requests {
		all = append(all, func(ctx context.Context, until time.Time, in *engine.Instance) error {
			err := d.warmUp(ctx, until, in, r)
			switch {
			case err == nil:
				return nil
			case errors.Is(err, errBadAnswer) && i > 0:
				err = fmt.Errorf("%w: some modules serve one request only, such as workers of componentize-js, and cannot be warmed up", err)
			}
			return invalidModule([]problem.Violation{problem.Violate(fieldWarm, "request %d (%.60s) %s", i+1, r, err)}, nil)
		})
	}
	return all
}

var errBadAnswer = errors.New("has no valid answer")

// warmUp serves one request. Like a copy for a mirror, it has no effects: it makes no calls and writes to no store.
func (d *deployment) warmUp(ctx context.Context, until time.Time, in *engine.Instance, r warmRequest) error {
	now := time.Now()
	deadline := now.Add(d.timeout)
	if until.Before(deadline) {
		deadline = until
	}
	x, w := in.Caller.(*exchange), &unsent{header: http.Header{}}
	x.begin(w, d.warmRequest(ctx, r, now), d, deadline)
	out := contained(func() engine.Outcome { return d.server.Serve(in, &x.Exchange) })
	x.response.out.Finish()
	x.end()
	in.TakeGuestTime()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case out.Kind == engine.Deadline:
		return fmt.Errorf("has not ended after %s", deadline.Sub(now).Round(time.Millisecond))
	case out.Kind == engine.BadAnswer:
		return errBadAnswer
	case out.Kind != engine.OK:
		return fmt.Errorf("ends with: %s", out.Kind)
	case w.status >= http.StatusInternalServerError:
		return fmt.Errorf("is answered with status %d", w.status)
	}
	return nil
}

// warmRequest returns the request as the router would pass it on.
func (d *deployment) warmRequest(ctx context.Context, r warmRequest, now time.Time) *router.Request {
	own, prefix := r.Clone(ctx), strings.TrimSuffix(string(d.key.Prefix), "/")
	rest := r.URL.EscapedPath()
	own.RequestURI = prefix + r.RequestURI
	own.URL.Path, own.URL.RawPath = prefix+r.URL.Path, prefix+rest
	own.Host = cmp.Or(r.Host, "localhost")
	own.RemoteAddr = "127.0.0.1:0"
	own.Body, own.ContentLength = io.NopCloser(strings.NewReader(r.body)), int64(len(r.body))
	if r.body != "" {
		own.Header.Set("Content-Length", strconv.Itoa(len(r.body)))
	}
	return &router.Request{Request: own, Prefix: string(d.key.Prefix), Rest: rest, Arrived: now, Admitted: now, Mirrored: true}
}

// unsent is the response to a request without a client.
type unsent struct {
	header http.Header
	status int
}

func (w *unsent) Header() http.Header { return w.header }

func (w *unsent) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

func (w *unsent) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}
