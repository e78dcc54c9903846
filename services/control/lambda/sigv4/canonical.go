package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// canonicalRequest returns the canonical form of a request, from which its signature is computed.
func canonicalRequest(r *http.Request, s *signature, bodyHash string) string {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	if path == "" {
		path = "/"
	}
	var headers strings.Builder
	for _, name := range s.headers {
		headers.WriteString(name + ":" + headerValue(r, name) + "\n")
	}
	return strings.Join([]string{
		r.Method, escape(path, true), canonicalQuery(query), headers.String(), strings.Join(s.headers, ";"), bodyHash,
	}, "\n")
}

// headerValue returns the signed value of a header: values of one name joined, spaces folded.
func headerValue(r *http.Request, name string) string {
	switch name {
	case "host":
		return r.Host
	case "content-length":
		return strconv.FormatInt(r.ContentLength, 10)
	case "transfer-encoding":
		return strings.Join(r.TransferEncoding, ",")
	}
	var folded []string
	for _, value := range r.Header.Values(name) {
		folded = append(folded, strings.Join(strings.Fields(value), " "))
	}
	return strings.Join(folded, ",")
}

// canonicalQuery returns the query sorted by name and uniformly escaped, without the signature itself.
func canonicalQuery(raw string) string {
	type pair struct{ name, value string }
	var pairs []pair
	for part := range strings.SplitSeq(raw, "&") {
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		p := pair{unescape(name), unescape(value)}
		if p.name != "X-Amz-Signature" {
			pairs = append(pairs, pair{escape(p.name, false), escape(p.value, false)})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		if a.name != b.name {
			return strings.Compare(a.name, b.name)
		}
		return strings.Compare(a.value, b.value)
	})
	var b strings.Builder
	for i, p := range pairs {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String()
}

// unescape decodes a part of a query. An invalid escape is returned unchanged, and matches no signature.
func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}

// escape escapes every byte except RFC 3986's unreserved characters, and slashes
// if requested. The path is escaped a second time, on top of the form in which
// it was sent. Signature Version 4 requires this for every service except S3.
func escape(s string, slashes bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0, slashes && c == '/':
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
