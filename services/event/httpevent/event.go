package httpevent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/internal/lenient"
)

// Constant fields of the format: there are no routes and no stages here.
const (
	version      = "2.0"
	defaultRoute = "$default"
	anonymous    = "anonymous" // account of a function URL without authorization
	timeLayout   = "02/Jan/2006:15:04:05 -0700"
)

// PrefixHeader carries the prefix that was removed from the path.
const PrefixHeader = "x-forwarded-prefix"

// traceHeader carries the tracing header. Lambda adds it if the client sends none.
const traceHeader = "x-amzn-trace-id"

// Event is an HTTP request in payload format 2.0.
type Event struct {
	Version               string            `json:"version"`
	RouteKey              string            `json:"routeKey"`
	RawPath               string            `json:"rawPath"`
	RawQueryString        string            `json:"rawQueryString"`
	Cookies               []string          `json:"cookies,omitempty"`
	Headers               map[string]string `json:"headers"`
	QueryStringParameters map[string]string `json:"queryStringParameters,omitempty"`
	RequestContext        RequestContext    `json:"requestContext"`
	Body                  string            `json:"body,omitempty"`
	IsBase64Encoded       bool              `json:"isBase64Encoded"`
}

// RequestContext is the metadata of the request.
type RequestContext struct {
	AccountID    string `json:"accountId"`
	APIID        string `json:"apiId"`
	DomainName   string `json:"domainName"`
	DomainPrefix string `json:"domainPrefix"`
	HTTP         HTTP   `json:"http"`
	RequestID    string `json:"requestId"`
	RouteKey     string `json:"routeKey"`
	Stage        string `json:"stage"`
	Time         string `json:"time"`
	TimeEpoch    int64  `json:"timeEpoch"` // milliseconds
}

// HTTP describes the request line and the client.
type HTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// Source holds the parts of an event that are not in the http.Request.
type Source struct {
	RequestID string
	Function  string    // name of the function, used as the API id
	Prefix    string    // removed from the path; "/" is omitted
	Rest      string    // escaped path after the prefix: "" or beginning with "/"
	Time      time.Time // of arrival
	Client    forwarded.Client
	TraceID   string // tracing header; if empty, the event has the client's, if any
}

// Write writes the event of a request with this body as JSON. It
// writes the body piece by piece, without copying it as a whole.
func Write(w io.Writer, r *http.Request, body [][]byte, s Source) error {
	e := FromRequest(r, nil, s)
	e.IsBase64Encoded = len(body) > 0 && !isText(r.Header, body)
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	last := []byte(fmt.Sprintf(`"isBase64Encoded":%t}`, e.IsBase64Encoded)) // the body is written before this member
	head, ok := bytes.CutSuffix(text, last)
	if !ok {
		return fmt.Errorf("the event does not end in %s", last)
	}
	if _, err := w.Write(head); err != nil {
		return err
	}
	if len(body) > 0 {
		if err := writeBody(w, body, e.IsBase64Encoded); err != nil {
			return err
		}
	}
	_, err = w.Write(last)
	return err
}

// FromRequest returns the event of a request with this body.
func FromRequest(r *http.Request, body []byte, s Source) Event {
	path, query, host, agent := escaped(s.Rest), escaped(r.URL.RawQuery), lenient.Text(r.Host), lenient.Text(r.UserAgent())
	if path == "" {
		path = "/"
	}
	prefix, _, _ := strings.Cut(host, ".")
	source, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		source = r.RemoteAddr
	}
	e := Event{
		Version:               version,
		RouteKey:              defaultRoute,
		RawPath:               path,
		RawQueryString:        query,
		Cookies:               cookies(r.Header),
		Headers:               headers(r, s),
		QueryStringParameters: parameters(r.URL.RawQuery),
		RequestContext: RequestContext{
			AccountID:    anonymous,
			APIID:        s.Function,
			DomainName:   host,
			DomainPrefix: prefix,
			HTTP:         HTTP{Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: source, UserAgent: agent},
			RequestID:    s.RequestID,
			RouteKey:     defaultRoute,
			Stage:        defaultRoute,
			Time:         s.Time.UTC().Format(timeLayout),
			TimeEpoch:    s.Time.UnixMilli(),
		},
	}
	if s.TraceID != "" {
		e.Headers[traceHeader] = s.TraceID
	}
	if e.IsBase64Encoded = len(body) > 0 && !isText(r.Header, [][]byte{body}); e.IsBase64Encoded {
		e.Body = base64.StdEncoding.EncodeToString(body)
	} else {
		e.Body = string(body)
	}
	return e
}

// cookies returns the cookies of all Cookie headers, one per element.
func cookies(h http.Header) (all []string) {
	for _, line := range h["Cookie"] {
		for cookie := range strings.SplitSeq(line, ";") {
			if cookie = strings.TrimSpace(cookie); cookie != "" {
				all = append(all, lenient.Text(cookie))
			}
		}
	}
	return all
}

// headers returns the header fields by lower-case name, with the values of one name joined. It
// omits cookies, which have a field of their own, hop-by-hop fields, and forwarding fields of
// untrusted clients. The router has removed from the requests of clients what only this server writes. The fields x-forwarded-for, -proto and -port hold the verified values.
func headers(r *http.Request, s Source) map[string]string {
	client := s.Client.Or(r)
	all := make(map[string]string, len(r.Header)+5)
	for name, values := range r.Header {
		claim := httpfield.Disguised(name) || httpfield.Claim(name) && !client.Trusted && !httpfield.Own(name)
		if name != "Cookie" && !abi.HopByHop(name) && !claim {
			all[strings.ToLower(name)] = lenient.Text(strings.Join(values, ","))
		}
	}
	all["host"] = lenient.Text(r.Host)
	all["x-forwarded-for"] = client.ForwardedFor()
	all["x-forwarded-proto"] = client.Scheme
	all["x-forwarded-port"] = client.ServerPort(r.Host)
	delete(all, PrefixHeader)
	if prefix := client.Prefix + strings.TrimSuffix(s.Prefix, "/"); prefix != "" {
		all[PrefixHeader] = prefix
	}
	return all
}

// parameters returns the decoded query, with the values of one name
// joined. Parameters that cannot be decoded are only in rawQueryString.
func parameters(query string) map[string]string {
	values, _ := url.ParseQuery(query)
	if len(values) == 0 {
		return nil
	}
	all := make(map[string]string, len(values))
	for name, list := range values {
		all[lenient.Text(name)] = lenient.Text(strings.Join(list, ","))
	}
	return all
}

// isText reports whether a body is sent as text: its media type must be textual
// and its bytes valid UTF-8. The list of types is that of function URLs.
func isText(h http.Header, body [][]byte) bool {
	if h.Get("Content-Encoding") != "" || !validUTF8(body) {
		return false
	}
	given := h.Get("Content-Type")
	if given == "" {
		return true
	}
	mediaType, _, err := mime.ParseMediaType(given)
	if err != nil {
		return false
	}
	kind, subtype, _ := strings.Cut(mediaType, "/")
	return kind == "text" || strings.HasSuffix(subtype, "+json") || strings.HasSuffix(subtype, "+xml") ||
		kind == "application" && (subtype == "json" || subtype == "javascript" || subtype == "xml")
}
