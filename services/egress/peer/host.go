package peer

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Limits of connections.
const (
	connectTimeout = 5 * time.Second
	headerTimeout  = 30 * time.Second // until the header of a response
	idleTimeout    = 90 * time.Second
	maxHeaderBytes = 64 << 10
	maxProblem     = 64 << 10
	maxDetail      = 500 // bytes of a problem's text that an error repeats
)

// HostConfig names a host.
type HostConfig struct {
	URL   string                                // scheme, host and port
	Token string                                // of the host; empty: none
	TLS   *tls.Config                           // for https; nil: the machine's authorities
	Proxy func(*http.Request) (*url.URL, error) // nil: none
	// UserAgent of requests; default "vespo".
	UserAgent string
	// Connections to the host at a time; default 16.
	Connections int
}

// Host is another host's management API. Close it at the end.
type Host struct {
	base  string       // immutable
	token string       // immutable
	agent string       // immutable
	http  *http.Client // immutable

	transfers atomic.Int64              // of blobs, that are in progress
	avoided   atomic.Pointer[time.Time] // until when it is not asked as a remembered host; nil: it may be
}

// NewHost returns a host. It connects to nothing.
func NewHost(cfg HostConfig) (*Host, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%q is not the URL of a host: write it like https://host.example.com:8080", cfg.URL)
	}
	h := &Host{base: u.Scheme + "://" + u.Host, token: cfg.Token, agent: cfg.UserAgent}
	if h.agent == "" {
		h.agent = "vespo"
	}
	if cfg.Connections <= 0 {
		cfg.Connections = 16
	}
	h.http = &http.Client{
		Transport: &http.Transport{
			Proxy:                  cfg.Proxy,
			DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
			TLSHandshakeTimeout:    connectTimeout,
			TLSClientConfig:        cfg.TLS,
			ResponseHeaderTimeout:  headerTimeout,
			IdleConnTimeout:        idleTimeout,
			MaxConnsPerHost:        cfg.Connections,
			MaxIdleConnsPerHost:    cfg.Connections,
			MaxResponseHeaderBytes: maxHeaderBytes,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h, nil
}

// String returns the URL of the host.
func (h *Host) String() string { return h.base }

// Close closes idle connections. Those in use close with their requests.
func (h *Host) Close() { h.http.CloseIdleConnections() }

// Get sends a GET request. The response has a status of 2xx or 304, and the caller closes its body. The error for another
// status is a *StatusError.
func (h *Host) Get(ctx context.Context, path string, query url.Values, header http.Header) (*http.Response, error) {
	return h.do(ctx, http.MethodGet, path, query, header)
}

// do is Get with a method.
func (h *Host) do(ctx context.Context, method, path string, query url.Values, header http.Header) (*http.Response, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, h.base+path, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("User-Agent", h.agent)
	if h.token != "" {
		r.Header.Set("Authorization", "Bearer "+h.token)
	}
	resp, err := h.http.Do(r)
	if err != nil {
		var asked *url.Error
		if errors.As(err, &asked) {
			err = asked.Err // its text repeats the URL
		}
		return nil, fmt.Errorf("%s: %w", h.base, err)
	}
	if resp.StatusCode/100 == 2 || resp.StatusCode == http.StatusNotModified {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, h.refusal(resp)
}

// StatusError is a response that refuses the request.
type StatusError struct {
	Host       string
	Status     int
	Detail     string        // of the problem document; may be empty
	RetryAfter time.Duration // zero if the response names none
}

// Error returns the host with what it says.
func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s answered %d %s", e.Host, e.Status, http.StatusText(e.Status))
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return text
}

// refusal reads the problem document of a response.
func (h *Host) refusal(resp *http.Response) error {
	e := &StatusError{Host: h.base, Status: resp.StatusCode}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	var told struct{ Detail string }
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err == nil && kind == "application/problem+json" && json.Unmarshal(body, &told) == nil {
		e.Detail = printable(told.Detail)
	}
	return e
}

// printable returns a text of another host for a log: without control characters, and not too long.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "") + "..."
	}
	return text
}
