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

// The words of the format that never change here: there are no routes and no stages.
const (
	version      = "2.0"
	defaultRoute = "$default"
	anonymous    = "anonymous" // account of a function URL without authorisation
	timeLayout   = "02/Jan/2006:15:04:05 -0700"
)

// PrefixHeader carries the prefix that was taken from the path.
const PrefixHeader = "x-forwarded-prefix"

// traceHeader carries the tracing header, which Lambda adds where a client sends none.
const traceHeader = "x-amzn-trace-id"

// Event is a request in the payload format 2.0.
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

// RequestContext is what an event says about the request beside its content.
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

// HTTP is the request's line and sender.
type HTTP struct {
	Method    string `json:"method"`
	Path      string `json:"path"`
	Protocol  string `json:"protocol"`
	SourceIP  string `json:"sourceIp"`
	UserAgent string `json:"userAgent"`
}

// Source is what a request cannot tell of itself.
type Source struct {
	RequestID string
	Function  string    // name of the function, stands in for the id of an API
	Prefix    string    // that was taken from the path; "/" says nothing
	Rest      string    // escaped path behind the prefix: "" or beginning with "/"
	Time      time.Time // when it came
	Client    forwarded.Client
	TraceID   string // tracing header; empty: the event has the client's, if any
}

// Write writes the event of a request with this body as JSON, piece by piece: a large body is not copied as a whole.
func Write(w io.Writer, r *http.Request, body [][]byte, s Source) error {
	e := FromRequest(r, nil, s)
	e.IsBase64Encoded = len(body) > 0 && !isText(r.Header, body)
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	last := []byte(fmt.Sprintf(`"isBase64Encoded":%t}`, e.IsBase64Encoded)) // the body is in front of it
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

// FromRequest gives the event of a request with this body.
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
		Version: version, RouteKey: defaultRoute, RawPath: path, RawQueryString: query,
		Cookies: cookies(r.Header), Headers: headers(r, s), QueryStringParameters: parameters(r.URL.RawQuery),
		RequestContext: RequestContext{
			AccountID: anonymous, APIID: s.Function, DomainName: host, DomainPrefix: prefix,
			HTTP:      HTTP{Method: r.Method, Path: path, Protocol: r.Proto, SourceIP: source, UserAgent: agent},
			RequestID: s.RequestID, RouteKey: defaultRoute, Stage: defaultRoute,
			Time: s.Time.UTC().Format(timeLayout), TimeEpoch: s.Time.UnixMilli(),
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

// cookies gives each cookie for itself.
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

// headers returns the header fields in lower case, those of one name joined. Cookies have a place of their own. Fields of one connection are
// left out, and so is what no trusted proxy says of the client; the fields x-forwarded-for, -proto and -port say what is believed.
func headers(r *http.Request, s Source) map[string]string {
	client := s.Client.Or(r)
	all := make(map[string]string, len(r.Header)+5)
	for name, values := range r.Header {
		claim := httpfield.Disguised(name) || httpfield.Claim(name) && !client.Trusted
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

// parameters gives the query decoded, values of one name joined. What cannot be decoded is in rawQueryString alone.
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

// isText tells whether a body goes into the event as it is: it does for types that are text, if it is text indeed, as function URLs do.
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
