package patience

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// longest bounds the time that a server which is alive may take for the header of an answer.
const longest = time.Hour

// Transport sends requests by Base, and ends each one in which the server is silent for Silence: it takes nothing of the
// body and sends nothing of the answer. Time that the client itself takes, to produce the body or to read the answer,
// does not count. Errors of such requests match *SilentError.
type Transport struct {
	Base    http.RoundTripper
	Silence time.Duration // 0: no bound

	// Probe is the path of a question that every server answers at once; "" is none. A request other than GET and HEAD may
	// take long, as a deploy does. Its server is asked at half of Silence, and if it answers, the request goes on.
	Probe string
}

// SilentError is the error of a request that was ended.
type SilentError struct {
	Server  string // scheme and host
	Silence time.Duration
	Method  string
	Begun   bool // the server had sent the header of its answer
}

// Error implements error.
func (e *SilentError) Error() string {
	if e.Begun {
		return fmt.Sprintf("%s has begun to answer, and then sent nothing for %s", e.Server, e.Silence)
	}
	return fmt.Sprintf("%s did not answer in %s", e.Server, e.Silence)
}

// pauseKey is the key of the pause of a context.
type pauseKey struct{}

// WithPauses returns a context for requests whose answers may pause between two parts for at least pause, such as a stream of
// events with a sign of life in that time.
func WithPauses(ctx context.Context, pause time.Duration) context.Context {
	return context.WithValue(ctx, pauseKey{}, pause)
}

// Is reports whether the target is the error of a deadline: the end of patience is one.
func (e *SilentError) Is(target error) bool { return target == context.DeadlineExceeded }

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.Silence == 0 {
		return t.Base.RoundTrip(r)
	}
	pause, _ := r.Context().Value(pauseKey{}).(time.Duration)
	ctx, end := context.WithCancelCause(r.Context())
	v := &vigil{
		ctx:     ctx,
		end:     end,
		silence: t.Silence,
		pause:   max(t.Silence, pause),
		server:  r.URL.Scheme + "://" + r.URL.Host,
		method:  r.Method,
	}
	if t.Probe != "" && changes(r.Method) {
		v.probe = func(ctx context.Context) bool { return t.alive(ctx, r) }
	}
	sent := r.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		sent.Body = &upload{ReadCloser: r.Body, vigil: v}
	}
	v.wait()
	resp, err := t.Base.RoundTrip(sent)
	if err != nil {
		v.close()
		return nil, v.explain(err)
	}
	v.answered()
	resp.Body = &download{ReadCloser: resp.Body, vigil: v}
	return resp, nil
}

// changes reports whether requests with a method change something.
func changes(method string) bool { return method != http.MethodGet && method != http.MethodHead }

// Unknown reports whether the server may have made the change that it was asked for.
func (e *SilentError) Unknown() bool { return changes(e.Method) }

// alive reports whether the server of a request answers the probe, with any status.
func (t *Transport) alive(ctx context.Context, r *http.Request) bool {
	probe, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL.Scheme+"://"+r.URL.Host+t.Probe, nil)
	if err != nil {
		return false
	}
	probe.Header.Set("User-Agent", r.UserAgent())
	resp, err := t.Base.RoundTrip(probe)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil
}

// upload is the body of a request.
type upload struct {
	io.ReadCloser
	vigil *vigil
}

// Read implements io.Reader. A call shows that the server has taken the part before.
func (u *upload) Read(b []byte) (int, error) {
	u.vigil.rest()
	defer u.vigil.wait()
	return u.ReadCloser.Read(b)
}

// download is the body of a response.
type download struct {
	io.ReadCloser
	vigil *vigil
}

// Read implements io.Reader.
func (d *download) Read(b []byte) (int, error) {
	d.vigil.await()
	n, err := d.ReadCloser.Read(b)
	d.vigil.rest()
	if err != nil && !errors.Is(err, io.EOF) {
		err = d.vigil.explain(err)
	}
	return n, err
}

// Close implements io.Closer.
func (d *download) Close() error {
	d.vigil.close()
	return d.ReadCloser.Close()
}
