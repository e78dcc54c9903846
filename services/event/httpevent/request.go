package httpevent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/services/internal/lenient"
)

// ErrEvent is matched by errors about an event that is not a
// valid HTTP request. Their texts may be sent to the client.
var ErrEvent = errors.New("the event is not one of an HTTP request")

// Request returns the HTTP request of an event in payload format 2.0. Missing fields have
// defaults: GET, "/" and no body. prefix is prepended to the path. Errors match ErrEvent.
func Request(ctx context.Context, event []byte, prefix string) (*http.Request, error) {
	var e Event
	if len(bytes.TrimSpace(event)) > 0 {
		if err := json.Unmarshal(lenient.JSON(event), &e); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrEvent, err)
		}
	}
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("%w: body is not base64, as isBase64Encoded says", ErrEvent)
		}
	}
	target, err := e.target(prefix)
	if err != nil {
		return nil, err
	}
	method := e.RequestContext.HTTP.Method
	if method == "" {
		method = http.MethodGet
	}
	r, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: the method is %.40q", ErrEvent, method)
	}
	if err := e.fillHeader(r); err != nil {
		return nil, err
	}
	r.RequestURI, r.RemoteAddr = target.RequestURI(), "127.0.0.1:0"
	if ip := e.RequestContext.HTTP.SourceIP; ip != "" {
		r.RemoteAddr = ip + ":0"
	}
	return r, nil
}

// target returns the URL of the request: path and query.
func (e *Event) target(prefix string) (*url.URL, error) {
	path := e.RawPath
	if path == "" {
		path = "/"
	}
	if path[0] != '/' {
		return nil, fmt.Errorf("%w: rawPath is %.100q, it must begin with a slash", ErrEvent, path)
	}
	target, err := url.ParseRequestURI(strings.TrimSuffix(prefix, "/") + path)
	if err != nil || strings.ContainsAny(path, "?#") {
		return nil, fmt.Errorf("%w: rawPath is %.100q, which is no path", ErrEvent, path)
	}
	if strings.ContainsFunc(e.RawQueryString, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		return nil, fmt.Errorf("%w: rawQueryString is not an escaped query", ErrEvent)
	}
	target.RawQuery = e.RawQueryString
	return target, nil
}

// fillHeader sets the header and the host of the request.
func (e *Event) fillHeader(r *http.Request) error {
	r.Host = e.RequestContext.DomainName
	for name, value := range e.Headers {
		canonical, ok := abi.CanonicalName(name)
		switch {
		case !ok || !abi.ValidValue(value):
			return fmt.Errorf("%w: the header %.60q cannot be sent", ErrEvent, name)
		case canonical == "Host":
			r.Host = value
		case canonical != "Content-Length" && canonical != httpfield.CallerHeader && !abi.HopByHop(canonical):
			r.Header[canonical] = append(r.Header[canonical], value)
		}
	}
	if len(e.Cookies) > 0 {
		line := strings.Join(e.Cookies, "; ")
		if !abi.ValidValue(line) {
			return fmt.Errorf("%w: a cookie has control characters", ErrEvent)
		}
		r.Header.Set("Cookie", line)
	}
	return nil
}
