package router

import (
	"errors"
	"net/url"
	"strings"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
)

// rawPath returns the escaped path of a request as it was sent. URL.EscapedPath differs
// if the path has a character that should have been encoded, as in `/a|%2Fb`: it
// re-encodes the path and turns encoded slashes into separators.
func rawPath(u *url.URL) string {
	if u.RawPath != "" {
		if decoded, err := url.PathUnescape(u.RawPath); err == nil && decoded == u.Path {
			return u.RawPath
		}
	}
	if u.Path == "" { // absolute-form without a path, RFC 9112 section 3.2.2
		return "/"
	}
	return u.EscapedPath()
}

// Rest returns the escaped path of a URL after the prefix, like Lookup. It is for requests that were changed
// after routing. It returns an error for paths that the Router rejects and for paths outside of the prefix.
func Rest(prefix string, u *url.URL) (string, error) {
	path := rawPath(u)
	if len(path) > DefaultMaxPathBytes {
		return "", problem.Newf(problem.URITooLong, "the path is %d bytes long; use at most %d", len(path), DefaultMaxPathBytes)
	}
	if p := checkPath(path); p != nil {
		return "", p
	}
	if prefix == "/" {
		return path, nil
	}
	depth := strings.Count(prefix, "/")
	if strings.Count(path, "/") < depth {
		return "", errElsewhere
	}
	end := cutSegments(path, depth)
	if head, _ := decodeUnreserved(path[:end]); head != prefix {
		return "", errElsewhere
	}
	return path[end:], nil
}

var errElsewhere = errors.New("the path is not under the service's prefix")

// checkPath rejects escaped paths that a service could interpret differently from the router: those with
// dot segments or control characters, encoded or not. The error is nil or a problem for the client.
func checkPath(path string) *problem.Problem {
	start := 0
	for i := 0; i <= len(path); i++ {
		if i == len(path) || path[i] == '/' {
			if isDotSegment(path[start:i]) {
				return problem.New(problem.BadRequest,
					`the path has a "." or ".." segment; send the path that it resolves to`)
			}
			start = i + 1
			continue
		}
		c := path[i]
		if c == '%' && i+2 < len(path) {
			c, _ = unhex(path[i+1], path[i+2])
		}
		if c < 0x20 || c == 0x7f {
			return problem.New(problem.BadRequest, "the path has a control character, encoded or not; remove it")
		}
	}
	return nil
}

// isDotSegment reports whether an escaped segment decodes to "." or "..".
func isDotSegment(segment string) bool {
	if segment == "" || segment[0] != '.' && segment[0] != '%' {
		return false // the common case
	}
	dots := 0
	for len(segment) > 0 {
		switch {
		case segment[0] == '.':
			segment = segment[1:]
		case len(segment) >= 3 && strings.EqualFold(segment[:3], "%2e"):
			segment = segment[3:]
		default:
			return false
		}
		dots++
	}
	return dots == 1 || dots == 2
}

// decodeUnreserved decodes the percent-encoded unreserved characters of a path and
// keeps all other encodings, as in the normalisation of RFC 3986 section 6.2.2.2.
// encoded reports whether the path has a "%". It allocates only then.
func decodeUnreserved(path string) (decoded string, encoded bool) {
	first := strings.IndexByte(path, '%')
	if first < 0 {
		return path, false
	}
	out := make([]byte, first, len(path))
	copy(out, path)
	for i := first; i < len(path); i++ {
		if path[i] == '%' && i+2 < len(path) {
			if c, ok := unhex(path[i+1], path[i+2]); ok && routekey.Unreserved(c) {
				out = append(out, c)
				i += 2
				continue
			}
		}
		out = append(out, path[i])
	}
	return string(out), true
}

// isReserved reports whether the first segment of a path is routekey.ReservedSegment.
func isReserved(path string) bool {
	first := strings.TrimPrefix(path, "/")
	if end := strings.IndexByte(first, '/'); end >= 0 {
		first = first[:end]
	}
	if len(first) < len(routekey.ReservedSegment) || len(first) > 3*len(routekey.ReservedSegment) {
		return false
	}
	name, _ := decodeUnreserved(first)
	return name == routekey.ReservedSegment
}

func unhex(high, low byte) (c byte, ok bool) {
	h, okHigh := nibble(high)
	l, okLow := nibble(low)
	if !okHigh || !okLow {
		return '%', false
	}
	return h<<4 | l, true
}

func nibble(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}
