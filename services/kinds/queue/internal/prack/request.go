// Package prack implements the wire format in which workers receive requests and send answers. It is
// that of Prack, a server from which Rack and other applications fetched their requests. A request is
//
//	{"identifier": "...", "environment": {"REQUEST_METHOD": "GET", "HTTP_HOST": "...", ...}, "body": "base64"}
//
// and an answer
//
//	{"identifier": "...", "code": 200, "headers": {"Content-Type": "text/plain"}, "body": "base64"}
package prack

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services/internal/lenient"
)

// Origin describes how the server received a request.
type Origin struct {
	Prefix    string // of the service: "/" or "/jobs"
	Rest      string // escaped path after the prefix
	RequestID string
	Client    forwarded.Client
}

// Environment describes a request by CGI and Rack variables, as a JSON object. PATH_INFO is escaped
// and includes the query, as in Prack. Hop-by-hop fields and fields with ambiguous names are omitted.
func Environment(r *http.Request, o Origin, bodyBytes int64) []byte {
	pathInfo := o.Rest
	if pathInfo == "" {
		pathInfo = "/"
	}
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		pathInfo += "?" + r.URL.RawQuery // as received
	}
	client := o.Client.Or(r)
	env := map[string]string{
		"REQUEST_METHOD":  r.Method,
		"SCRIPT_NAME":     strings.TrimSuffix(o.Prefix, "/"),
		"PATH_INFO":       pathInfo,
		"QUERY_STRING":    r.URL.RawQuery,
		"SERVER_PROTOCOL": r.Proto,
		"REMOTE_ADDR":     hostOf(r.RemoteAddr),
		"rack.url_scheme": client.Scheme,
		"HTTP_HOST":       r.Host,
	}
	if client.Scheme == "https" {
		env["HTTPS"] = "on"
	}
	env["SERVER_NAME"], env["SERVER_PORT"] = hostOf(r.Host), client.ServerPort(r.Host)
	addHeaders(env, r.Header)
	env["HTTP_X_REQUEST_ID"] = o.RequestID
	if bodyBytes > 0 {
		env["CONTENT_LENGTH"] = strconv.FormatInt(bodyBytes, 10)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for name, value := range env {
		env[name] = lenient.Text(value)
	}
	if err := enc.Encode(env); err != nil {
		panic("prack: strings cannot be encoded: " + err.Error())
	}
	return bytes.TrimSpace(b.Bytes())
}

// addHeaders adds the header fields as variables.
func addHeaders(env map[string]string, h http.Header) {
	connection := connectionOptions(h)
	for name, values := range h {
		if hopByHop[name] || connection[name] || ambiguous(name) {
			continue
		}
		separator := ", "
		if name == "Cookie" { // RFC 9113 section 8.2.3
			separator = "; "
		}
		variable := "HTTP_" + strings.ReplaceAll(strings.ToUpper(name), "-", "_")
		if name == "Content-Type" {
			variable = "CONTENT_TYPE"
		}
		env[variable] = strings.Join(values, separator)
	}
}

// ambiguous reports whether the variable of a header field could belong to another field, as that
// of "X_Real_Ip", or could be mistaken for a setting: programs use HTTP_PROXY as their proxy.
func ambiguous(name string) bool {
	return name == "Proxy" || strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-')
	})
}

// hostOf returns the host of host and port, without the brackets of an IPv6 address.
func hostOf(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// Request is a message for a worker. It may be written more than once.
type Request struct {
	head string
	body [][]byte
	tail string
}

// NewRequest returns the message of a request. environment is the result of Environment.
func NewRequest(identifier string, environment []byte, body [][]byte) Request {
	head := `{"identifier":"` + identifier + `","environment":` + string(environment) + `,"body":"`
	return Request{head: head, body: body, tail: "\"}\n"}
}

// Len returns the length of the message in bytes.
func (m Request) Len() int {
	n := 0
	for _, piece := range m.body {
		n += len(piece)
	}
	return len(m.head) + base64.StdEncoding.EncodedLen(n) + len(m.tail)
}

// WriteTo implements io.WriterTo. It encodes the body while
// writing, without holding the whole message in memory.
func (m Request) WriteTo(w io.Writer) (int64, error) {
	counted := &counter{to: w}
	_, err := io.WriteString(counted, m.head)
	if err == nil && len(m.body) > 0 {
		encoder := base64.NewEncoder(base64.StdEncoding, counted)
		for _, piece := range m.body {
			if _, err = encoder.Write(piece); err != nil {
				return counted.n, err
			}
		}
		err = encoder.Close()
	}
	if err == nil {
		_, err = io.WriteString(counted, m.tail)
	}
	return counted.n, err
}

type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.to.Write(p)
	c.n += int64(n)
	return n, err
}
