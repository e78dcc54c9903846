package remote

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/patience"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/version"
)

// defaultServer is the default URL of clients; it matches the default of serve's --listen.
const defaultServer = "http://127.0.0.1:8080"

// Vars returns the variables that the struct tags of the commands refer to.
func Vars() kong.Vars { return kong.Vars{"server": defaultServer, "silence": defaultSilence.String()} }

// Limits of the client.
const (
	connectTimeout  = 5 * time.Second
	defaultSilence  = 30 * time.Second
	eventPause      = 30 * time.Second // a silent stream of events has a sign of life twice in this time
	continueTimeout = 2 * time.Second  // wait for 100 Continue; after it, the upload is sent unasked
	maxAnswerBytes  = 16 << 20
)

// readyPath is the path of the question whether a server is ready, which it answers at once.
const readyPath = "/services/ready"

// wantsTLS is the answer of Go's net/http to a request without TLS on a listener with TLS.
const wantsTLS = "Client sent an HTTP request to an HTTPS server."

// clientFlags are the flags of all commands that talk to a server.
type clientFlags struct {
	Server string `placeholder:"URL" env:"VESPO_SERVER" default:"${server}" help:"The server to talk to (${default})."`
	Token  string `placeholder:"TOKEN" env:"VESPO_TOKEN,VESPO_ADMIN_TOKEN" help:"A token of the server: see \"vespo token\", or what it was given as --admin-token."`
	tlsFlags
	Silence time.Duration `name:"server-timeout" placeholder:"DURATION" env:"VESPO_SERVER_TIMEOUT" default:"${silence}" help:"Give up when the server has given no sign of life for this long; 0 is never (${default})."`
	Format  string        `short:"o" aliases:"output" enum:"text,json" placeholder:"text|json" default:"text" help:"Form of the output; json is the server's answer, indented on a terminal (${default})."`
}

// matchFlag distinguishes services that share a prefix.
type matchFlag struct {
	Match string `placeholder:"HEADER:VALUE" help:"The match of the service, if it has one, as \"vespo list\" shows it behind the prefix."`
}

// query returns the query parameters that identify a service.
func (f *matchFlag) query(prefix string) url.Values {
	query := url.Values{"prefix": {prefix}}
	if f.Match != "" {
		query.Set("match", f.Match)
	}
	return query
}

// Client is a client of one server's management API. It is immutable.
type Client struct {
	base  string // scheme and host
	token string
	http  *http.Client
	about string                    // the service that refusals are about; "": none
	named func(field string) string // returns the name of a field in refusals; nil: its own

	silentHint string // what to do if the server is silent, on a line of its own; "": nothing
}

// Validate is called by kong.
func (f *clientFlags) Validate() error {
	base, err := parseServer(f.Server)
	if err == nil {
		err = f.tlsFlags.check(base, f.Token)
	}
	if err == nil && f.Silence < 0 {
		err = fmt.Errorf("--server-timeout is %s: it must be 0 or more", f.Silence)
	}
	return err
}

// client returns a client for the flags. about is the service that its refusals are about; "" if it is none.
func (f *clientFlags) client(about string) (*Client, error) {
	c, err := newClient(f.Server, f.Token, f.Silence, &f.tlsFlags)
	if err != nil {
		return nil, err
	}
	c.about, c.silentHint = about, "\ncheck that it is a Vespo server; --server-timeout waits longer for one that is slow"
	return c, nil
}

// boundTo returns the name of a service in texts, as the server spells it.
func boundTo(prefix, match string) string {
	return strings.TrimSuffix("/"+strings.Trim(prefix, "/")+" "+match, " ")
}

// NewClient returns a client of the server at a URL. An empty token is none.
func NewClient(server, token string) (*Client, error) {
	return newClient(server, token, defaultSilence, &tlsFlags{})
}

func newClient(server, token string, silence time.Duration, flags *tlsFlags) (*Client, error) {
	base, err := parseServer(server)
	if err == nil {
		err = flags.check(base, token)
	}
	if err != nil {
		return nil, err
	}
	secure, err := flags.config()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		TLSClientConfig:        secure,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: 1 << 20,
		ForceAttemptHTTP2:      true,
	}
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	patient := &patience.Transport{Base: transport, Silence: silence, Probe: readyPath}
	return &Client{base: base, token: token, http: &http.Client{Transport: patient, CheckRedirect: noRedirects}}, nil
}

// parseServer parses "http://host:port" or, for short, "host:port". An empty
// string, as from an empty environment variable, selects defaultServer.
func parseServer(s string) (string, error) {
	full := cmp.Or(s, defaultServer)
	if !strings.Contains(full, "://") {
		full = "http://" + s
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("--server is %q: write it like http://127.0.0.1:8080", s)
	}
	return u.Scheme + "://" + u.Host, nil
}

// Base returns the scheme and host of the server, as in "http://127.0.0.1:8080".
func (c *Client) Base() string { return c.base }

// Get sends a GET request.
func (c *Client) Get(ctx context.Context, path string, query url.Values) (*Answer, error) {
	return c.Call(ctx, http.MethodGet, path, query, Upload{})
}

// Post sends a POST request without a body.
func (c *Client) Post(ctx context.Context, path string, query url.Values) (*Answer, error) {
	return c.Call(ctx, http.MethodPost, path, query, Upload{})
}

// Upload is a request body; the zero value is none.
type Upload struct {
	Body        io.Reader
	SizeBytes   int64
	ContentType string
}

// Answer is a successful (2xx) response.
type Answer struct {
	Status int
	Body   []byte
}

// Decode unmarshals the body into v.
func (a *Answer) Decode(v any) error {
	if err := json.Unmarshal(a.Body, v); err != nil {
		return fmt.Errorf("the server's answer is not as expected; is it of another version? %w", err)
	}
	return nil
}

// Call sends one request. Its errors are fit to be shown to the user.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, up Upload) (*Answer, error) {
	resp, err := c.send(ctx, method, path, query, up)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, c.explain(err)
	}
	return &Answer{Status: resp.StatusCode, Body: body}, nil
}

// stream sends a GET request, and returns the body of the response. The caller closes it.
func (c *Client) stream(ctx context.Context, path string, query url.Values) (io.ReadCloser, error) {
	resp, err := c.send(ctx, http.MethodGet, path, query, Upload{})
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// events sends a GET request for server-sent events behind the one with the id last, and returns the body of the response.
// The caller closes it.
func (c *Client) events(ctx context.Context, path string, query url.Values, last string) (io.ReadCloser, error) {
	r, err := c.request(patience.WithPauses(ctx, eventPause), http.MethodGet, path, query, Upload{})
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "text/event-stream, application/problem+json")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := c.do(r)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// send sends one request, and returns a response with a status of 2xx.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, up Upload) (*http.Response, error) {
	r, err := c.request(ctx, method, path, query, up)
	if err != nil {
		return nil, err
	}
	return c.do(r)
}

// request returns a request that is not sent yet.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, up Upload) (*http.Request, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, up.Body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", "application/json, application/problem+json")
	r.Header.Set("User-Agent", version.Read().UserAgent())
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if up.Body != nil {
		r.ContentLength = up.SizeBytes
		r.Header.Set("Content-Type", up.ContentType)
		r.Header.Set("Expect", "100-continue") // so that the server can refuse before the upload
	}
	return r, nil
}

// do sends a request, and returns a response with a status of 2xx.
func (c *Client) do(r *http.Request) (*http.Response, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return nil, c.explain(err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, c.explain(err)
	}
	return nil, c.refusal(resp, body)
}

// errUnreached is matched by errors of requests that were not sent.
var errUnreached = errors.New("no server was reached")

// explain returns a user-facing error for a request that got no response.
func (c *Client) explain(err error) error {
	var silent *patience.SilentError
	if errors.As(err, &silent) {
		unknown := ""
		if silent.Unknown() {
			unknown = "; it may have done what it was asked for, or do it yet"
		}
		return fmt.Errorf("%w%s%s", silent, unknown, c.silentHint)
	}
	var unreached *net.OpError
	if errors.As(err, &unreached) && unreached.Op == "dial" {
		return fmt.Errorf("%w at %s: %w\nstart one with \"vespo serve\", or name another one with --server", errUnreached, c.base, unreached.Err)
	}
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%s has a certificate of an authority that this machine does not know: %w\nname the authority's certificate with --ca FILE or in VESPO_CA", c.base, unknown)
	}
	if errors.Is(err, http.ErrSchemeMismatch) {
		return fmt.Errorf("%s speaks http and not https: write --server http%s", c.base, strings.TrimPrefix(c.base, "https"))
	}
	var asked *url.Error
	if errors.As(err, &asked) {
		err = asked.Err // its text repeats the URL
	}
	return fmt.Errorf("%s did not answer: %w", c.base, err)
}

// refusal returns the error for a response with a status other than 2xx.
func (c *Client) refusal(resp *http.Response, body []byte) error {
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	r := &Refusal{about: c.about, named: c.named}
	if resp.StatusCode == http.StatusBadRequest && resp.TLS == nil && bytes.HasPrefix(body, []byte(wantsTLS)) {
		return fmt.Errorf("%s speaks https and not http: write --server https%s", c.base, strings.TrimPrefix(c.base, "http"))
	}
	if mediaType != "application/problem+json" || json.Unmarshal(body, r) != nil {
		return fmt.Errorf("%s answered %q, which is no answer of a Vespo server", c.base, resp.Status)
	}
	r.Status = resp.StatusCode
	r.retryAfter = resp.Header.Get("Retry-After")
	return r
}

// Refusal is an error response: a problem document (RFC 9457).
type Refusal struct {
	Title      string                    `json:"title"`
	Detail     string                    `json:"detail"`
	Violations []string                  `json:"violations"`
	Fields     []string                  `json:"fields"` // of the violations, in their order; nil if there are none
	RequestID  string                    `json:"request_id"`
	Status     int                       `json:"-"`
	retryAfter string                    // seconds; "" if the header was absent
	about      string                    // the service; "": none
	named      func(field string) string // returns the name of a field for the user; nil: its own
}

// violation returns a violation with the user's name for its field.
func (r *Refusal) violation(i int, violation string) string {
	if r.named == nil || i >= len(r.Fields) || r.Fields[i] == "" {
		return violation
	}
	if text, ok := strings.CutPrefix(violation, r.Fields[i]+" "); ok {
		return r.named(r.Fields[i]) + " " + text
	}
	return violation
}

// Error returns the problem as text, with each violation on its own line. It begins with the service.
func (r *Refusal) Error() string {
	var b strings.Builder
	if r.about != "" {
		b.WriteString(stdio.Printable(r.about) + ": ")
	}
	b.WriteString(stdio.Printable(cmp.Or(r.Detail, r.Title)))
	for i, violation := range r.Violations {
		b.WriteString("\n  - " + stdio.Printable(r.violation(i, violation)))
	}
	switch {
	case r.Status == http.StatusUnauthorized:
		b.WriteString("\ngive it with --token or in VESPO_TOKEN")
	case r.Status == http.StatusServiceUnavailable && r.retryAfter != "":
		fmt.Fprintf(&b, "\ntry again in %s s", stdio.Printable(r.retryAfter))
	case r.Status >= http.StatusInternalServerError && r.RequestID != "":
		fmt.Fprintf(&b, "\nrequest id %s", stdio.Printable(r.RequestID))
	}
	return b.String()
}
