package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/internal/span"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/egress"
	"github.com/vespo-dev/vespo/services/internal/access"
)

// Limits are the limits of one exchange's outbound calls. Zero values select the defaults.
type Limits struct {
	Calls       int   // in one exchange; default 32
	Concurrent  int   // open at once; default 8
	HeaderBytes int   // of each request and response; default 64 KiB
	BodyBytes   int64 // of each request and response; default 64 MiB
	Depth       int   // nesting of services that call services; default 4
}

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	set(&l.Calls, 32)
	set(&l.Concurrent, 8)
	set(&l.HeaderBytes, 64<<10)
	set(&l.Depth, 4)
	if l.BodyBytes == 0 {
		l.BodyBytes = 64 << 20
	}
	return l
}

// Dispatcher serves a request by exactly one service of this server. router.Router implements it.
type Dispatcher interface {
	Dispatch(prefix routekey.Prefix, w http.ResponseWriter, r *http.Request, call any) error
}

// Config configures a Client.
type Config struct {
	Allow  *Allow     // required
	Limits Limits     // of each exchange
	Router Dispatcher // serves requests to other services; nil disables them
	Caller string     // prefix of the calling service, for the called ones
	// Connections has those of all clients of the server; nil: this client has its own.
	Connections *Connections
}

// Client makes the requests of one service. It is safe for concurrent use. Services do not share
// connections: a connection to an address that is granted to one service is not usable by another.
type Client struct {
	cfg       Config          // immutable
	transport *http.Transport // immutable

	open    atomic.Int64
	calls   atomic.Uint64
	refused atomic.Uint64
}

// Stats counts the calls of a service since New.
type Stats struct {
	Open    int64  // begun and not closed
	Calls   uint64 // begun
	Refused uint64 // not begun: not allowed, malformed, or too many in one exchange
}

// Stats returns the current counts.
func (c *Client) Stats() Stats {
	return Stats{Open: c.open.Load(), Calls: c.calls.Load(), Refused: c.refused.Load()}
}

// New returns a client. The caller must close it.
func New(cfg Config) *Client {
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.Connections == nil {
		cfg.Connections = NewConnections(0)
	}
	return &Client{
		cfg: cfg,
		transport: &http.Transport{
			Proxy:                  nil, // proxies from the environment are not for guests
			DialContext:            cfg.Connections.counting(cfg.Allow.dial),
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    10 * time.Second,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true, // guests receive bodies unchanged
			MaxIdleConnsPerHost:    maxIdle,
			MaxIdleConns:           maxIdle,
			IdleConnTimeout:        30 * time.Second,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: int64(cfg.Limits.HeaderBytes),
		},
	}
}

// Close closes idle connections. Those in use are closed with their exchanges.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// depthKey is the context key of the nesting depth of service calls.
type depthKey struct{}

func depthOf(ctx context.Context) int {
	depth, _ := ctx.Value(depthKey{}).(int)
	return depth
}

// Origin is the request or event that a guest serves when it makes calls.
type Origin struct {
	RequestID string
	Header    http.Header // as the guest sees it, with the trace context; may be nil
	Span      *span.Span  // of the guest; nil if the request is not traced
}

// identify adds the request id and the trace context to the header of a call, unless the guest has set them.
func (o *Origin) identify(h http.Header) {
	if h[router.RequestIDHeader] == nil && o.RequestID != "" {
		h.Set(router.RequestIDHeader, o.RequestID)
	}
	if h[forwarded.TraceParent] != nil || forwarded.TraceID(o.Header) == "" {
		return
	}
	h[forwarded.TraceParent] = slices.Clone(o.Header[forwarded.TraceParent])
	if state := o.Header[forwarded.TraceState]; state != nil && h[forwarded.TraceState] == nil {
		h[forwarded.TraceState] = slices.Clone(state)
	}
}

// ForExchange returns the outbound calls of one exchange. They end at the deadline.
func (c *Client) ForExchange(deadline time.Time, origin Origin) abi.Outbound {
	return &exchange{client: c, deadline: deadline, origin: origin}
}

// exchange counts the calls of one exchange. One goroutine uses it at a time.
type exchange struct {
	client   *Client
	deadline time.Time
	origin   Origin
	calls    int
	open     int
}

// Open implements abi.Outbound.
func (e *exchange) Open(ctx context.Context, method, uri string) (abi.OutboundCall, error) {
	c, err := e.begin(ctx, method, uri)
	if err != nil {
		e.client.refused.Add(1)
		return nil, err
	}
	e.client.calls.Add(1)
	e.client.open.Add(1)
	return c, nil
}

// begin counts a call and returns it, unless it is refused.
func (e *exchange) begin(ctx context.Context, method, uri string) (*call, error) {
	u, internal, err := e.client.check(method, uri)
	if err != nil {
		return nil, err
	}
	var via http.RoundTripper = e.client.transport
	header := http.Header{}
	if internal == "" {
		header.Set(CallerHeader, e.client.cfg.Caller)
	} else {
		ctx = forwarded.WithID(ctx, e.origin.RequestID)
		if via, err = e.client.inProcess(ctx, internal); err != nil {
			return nil, err
		}
	}
	c, err := e.add(ctx, method, u, via, header)
	if err == nil {
		c.request.Close = internal == "" && e.client.cfg.Connections.full()
	}
	return c, err
}

// add counts a call and returns it, unless there are too many.
func (e *exchange) add(ctx context.Context, method string, u *url.URL, via http.RoundTripper, header http.Header) (*call, error) {
	limits := e.client.cfg.Limits
	if e.calls >= limits.Calls || e.open >= limits.Concurrent {
		return nil, fail(abi.OutboundTooMany, "more than %d calls in one request, or %d at once", limits.Calls, limits.Concurrent)
	}
	ctx, cancel := context.WithDeadline(ctx, e.deadline)
	e.calls++
	e.open++
	request := &http.Request{
		Method:     method,
		URL:        u,
		Host:       u.Host,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header,
	}
	return &call{
		exchange: e,
		via:      via,
		ctx:      ctx,
		cancel:   cancel,
		limits:   limits,
		length:   -1,
		request:  request.WithContext(ctx),
	}, nil
}

// CallerHeader names the calling service to other servers. A guest can neither set nor remove it. Without
// a token, the management API trusts processes of its own machine, but not requests with this header.
const CallerHeader = access.CallerHeader

// escapeQuery escapes the characters that are not allowed in a request line.
func escapeQuery(query string) string {
	if !strings.ContainsFunc(query, unfit) {
		return query
	}
	var b strings.Builder
	for i := range len(query) {
		if c := query[i]; unfit(rune(c)) || c >= 0x80 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unfit(r rune) bool { return r <= ' ' || r >= 0x7f }

// check validates a request. internal is the prefix of the target service if the
// request stays in this server.
func (c *Client) check(method, uri string) (u *url.URL, internal routekey.Prefix, err error) {
	if _, ok := abi.CanonicalName(method); !ok || method == http.MethodConnect {
		return nil, "", fail(abi.OutboundInvalid, "the method %.40q is not one", method)
	}
	if u, err = url.Parse(uri); err != nil || u.User != nil {
		return nil, "", fail(abi.OutboundInvalid, "the URI %.200q is malformed, or holds credentials", uri)
	}
	origin, host, err := originOf(u)
	if err != nil {
		return nil, "", fail(abi.OutboundInvalid, "the URI %.200q: %v", uri, err)
	}
	u.Fragment, u.RawFragment = "", ""
	u.RawQuery = escapeQuery(u.RawQuery)
	if !c.cfg.Allow.allows(origin) {
		return nil, "", fail(abi.OutboundForbidden, "%s is not in the service's option allow", origin)
	}
	if !isInternal(host) {
		return u, "", nil
	}
	prefix, err := internalPrefix(host)
	if err != nil || u.Scheme != "http" || c.cfg.Router == nil {
		return nil, "", fail(abi.OutboundUnreachable, "%s is not a service of this server", origin)
	}
	return u, prefix, nil
}

// classify maps an error of a round trip to an abi.OutboundError.
func classify(err error) error {
	var known *abi.OutboundError
	var refused *egress.RefusedError
	var dial *net.OpError
	var dns *net.DNSError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &refused):
		return fail(abi.OutboundForbidden, "%v", refused)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fail(abi.OutboundDeadline, "%v", err)
	case errors.As(err, &dns), errors.As(err, &dial) && dial.Op == "dial", isTLS(err):
		return &abi.OutboundError{Code: abi.OutboundUnreachable, Cause: causeOf(err), Reason: err.Error()}
	}
	return fail(abi.OutboundBroken, "%v", err)
}

func isTLS(err error) bool {
	cause := causeOf(err)
	return cause == abi.CauseCertificate || cause == abi.CauseTLS
}

// causeOf returns why a server cannot be reached.
func causeOf(err error) abi.OutboundCause {
	var dns *net.DNSError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	switch {
	case errors.As(err, &dns):
		return abi.CauseName
	case errors.Is(err, syscall.ECONNREFUSED):
		return abi.CauseRefused
	case errors.As(err, &verification):
		return abi.CauseCertificate
	case errors.As(err, &record), errors.As(err, &alert):
		return abi.CauseTLS
	}
	return abi.CauseOther
}
