package fetch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/services/egress"
	"github.com/vespo-dev/vespo/services/egress/oci"
)

const (
	defaultMaxBytes     = 64 << 20
	defaultTimeout      = 30 * time.Second
	defaultMaxRedirects = 5

	maxHeaderBytes = 64 << 10
	// firstBufferBytes bounds the memory allocated for a declared length before any byte has arrived.
	firstBufferBytes = 1 << 20
)

// Config limits fetches. A zero field takes its default.
type Config struct {
	MaxBytes     int64         // of the module; default 64 MiB
	Timeout      time.Duration // of a whole fetch, including redirects; default 30 s
	MaxRedirects int           // default 5; negative: none are followed
	UserAgent    string        // default "vespo"
	Policy       egress.Policy // default: public addresses only
}

// Fetcher fetches modules. It is safe for concurrent use. It has nothing to close, as no connection outlives
// its fetch.
type Fetcher struct {
	cfg    Config       // immutable
	client *http.Client // immutable

	active  atomic.Int64
	fetched atomic.Uint64
	failed  atomic.Uint64
	bytes   atomic.Int64
}

// Stats counts the fetches since New.
type Stats struct {
	Active  int64 // in progress
	Fetched uint64
	Failed  uint64
	Bytes   int64 // of the fetched modules
}

// Stats returns the current counts.
func (f *Fetcher) Stats() Stats {
	return Stats{Active: f.active.Load(), Fetched: f.fetched.Load(), Failed: f.failed.Load(), Bytes: f.bytes.Load()}
}

// New returns a Fetcher for cfg.
func New(cfg Config) *Fetcher {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, defaultMaxBytes)
	cfg.Timeout = cmp.Or(cfg.Timeout, defaultTimeout)
	cfg.MaxRedirects = cmp.Or(cfg.MaxRedirects, defaultMaxRedirects)
	cfg.UserAgent = cmp.Or(cfg.UserAgent, "vespo")
	f := &Fetcher{cfg: cfg}
	dialer := &net.Dialer{ControlContext: cfg.Policy.Control}
	f.client = &http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			DisableKeepAlives:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
		CheckRedirect: f.checkRedirect,
	}
	return f
}

// Fetch returns the module at source. The error is an *Error, or wraps the cause of ctx if that has ended.
func (f *Fetcher) Fetch(ctx context.Context, source Source) ([]byte, error) {
	module, _, err := f.FetchPinned(ctx, source)
	return module, err
}

// FetchPinned is like Fetch. For a module in a registry, it also returns the reference with its digest, else "".
func (f *Fetcher) FetchPinned(ctx context.Context, source Source) (module []byte, pinned string, err error) {
	if source.url == nil && source.ref == nil {
		return nil, "", &Error{Reason: ErrInvalidSource, Detail: "source is empty"}
	}
	f.active.Add(1)
	defer f.active.Add(-1)
	bounded, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	module, pinned, err = f.content(bounded, source)
	if err == nil {
		f.fetched.Add(1)
		f.bytes.Add(int64(len(module)))
		return module, pinned, nil
	}
	f.failed.Add(1)
	if ctx.Err() != nil {
		return nil, "", fmt.Errorf("fetch: %w", context.Cause(ctx))
	}
	if source.ref != nil {
		return nil, "", explainPull(err)
	}
	return nil, "", explain(err, source.url, f.cfg.Timeout)
}

// content returns what is at the source. A registry is asked without credentials: those of the server's machine are not
// for its clients.
func (f *Fetcher) content(ctx context.Context, source Source) (module []byte, pinned string, err error) {
	if source.ref == nil {
		module, err = f.get(ctx, source.url)
		return module, "", err
	}
	registries := oci.Client{HTTP: f.client, MaxBytes: f.cfg.MaxBytes}
	module, resolved, err := registries.Pull(ctx, *source.ref)
	return module, resolved.String(), err
}

func (f *Fetcher) get(ctx context.Context, u *url.URL) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &Error{Reason: ErrInvalidSource, Detail: "source is not a well-formed URL", Cause: err}
	}
	req.Header.Set("Accept", "application/wasm, application/octet-stream;q=0.9, */*;q=0.1")
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", f.cfg.UserAgent)
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := f.checkAnswer(resp); err != nil {
		return nil, err
	}
	return f.readModule(resp)
}

// checkRedirect limits the number of redirects and applies the rules for sources to each. The address is
// checked when it is dialled.
func (f *Fetcher) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > f.cfg.MaxRedirects {
		return failed(ErrUnavailable, via[0].URL, "redirects more than %d times", max(f.cfg.MaxRedirects, 0))
	}
	if err := checkURL(req.URL); err != nil {
		return failed(ErrInvalidSource, via[0].URL, "redirects to an address that is not fetched").withCause(err)
	}
	if via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return failed(ErrInvalidSource, via[0].URL, "redirects from https to http")
	}
	// The previous address may have a signature in its query, which must not leak to the next host.
	req.Header.Del("Referer")
	return nil
}

// checkAnswer checks the response header before any of the body is read.
func (f *Fetcher) checkAnswer(resp *http.Response) error {
	u := resp.Request.URL
	if resp.StatusCode != http.StatusOK {
		return failed(ErrUnavailable, u, "answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return failed(ErrUnavailable, u, "answered with the content encoding %.40q, which was not asked for", enc)
	}
	if resp.ContentLength > f.cfg.MaxBytes {
		return f.tooLarge(u)
	}
	return nil
}

// readModule reads the body up to the limit, regardless of the declared length.
func (f *Fetcher) readModule(resp *http.Response) ([]byte, error) {
	var buf bytes.Buffer
	buf.Grow(int(min(max(resp.ContentLength, 0)+bytes.MinRead, firstBufferBytes)))
	n, err := io.Copy(&buf, io.LimitReader(resp.Body, f.cfg.MaxBytes+1))
	u := resp.Request.URL
	switch {
	case err != nil && resp.ContentLength > 0 && errors.Is(err, io.ErrUnexpectedEOF):
		return nil, failed(ErrUnavailable, u, "announced %d bytes and closed the connection after %d", resp.ContentLength, n).withCause(err)
	case err != nil:
		return nil, err
	case n > f.cfg.MaxBytes:
		return nil, f.tooLarge(u)
	case n == 0:
		return nil, failed(ErrUnavailable, u, "answered with an empty body")
	}
	return buf.Bytes(), nil
}

func (f *Fetcher) tooLarge(u *url.URL) error {
	return failed(ErrTooLarge, u, "is larger than the %d bytes that a module may have", f.cfg.MaxBytes)
}
