package nethttp

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// newRequest converts a guest's request to a server request of net/http. It returns an error if the URI, the protocol
// version or the Content-Length is invalid.
func newRequest(gr *guest.Request) (*http.Request, error) {
	uri := gr.URI()
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return nil, err
	}
	proto := gr.Proto()
	major, minor, ok := http.ParseHTTPVersion(proto)
	if !ok {
		if major, ok = map[string]int{"HTTP/2": 2, "HTTP/3": 3}[proto]; !ok {
			return nil, fmt.Errorf("protocol %q", proto)
		}
	}
	r := &http.Request{
		Method:     gr.Method(),
		URL:        u,
		Proto:      proto,
		ProtoMajor: major,
		ProtoMinor: minor,
		Header:     requestHeader(gr),
		RemoteAddr: gr.RemoteAddr(),
		RequestURI: uri,
	}
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	if r.ContentLength, err = contentLength(r.Header); err != nil {
		return nil, err
	}
	r.Body = http.NoBody
	b := &body{guest: gr, request: r}
	if r.ContentLength < 0 && (r.Method == http.MethodGet || r.Method == http.MethodHead) && b.empty() {
		r.ContentLength = 0
	}
	if r.ContentLength != 0 {
		r.Trailer = announcedTrailer(r.Header)
		r.Body = b
	}
	return r, nil
}

// contentLength returns the value of Content-Length, or -1 if the header is absent.
func contentLength(h http.Header) (int64, error) {
	value := h.Get("Content-Length")
	if value == "" {
		return -1, nil
	}
	n, err := strconv.ParseUint(value, 10, 63)
	return int64(n), err
}

// requestHeader returns the header of a request, by one call of the host if that is known to be Vespo.
func requestHeader(gr *guest.Request) http.Header {
	if abi.RequestFields != nil {
		return abi.HeaderOf(abi.RequestFields())
	}
	return headerOf(gr.Header)
}

func headerOf(from guest.Header) http.Header {
	h := http.Header{}
	for _, name := range from.Names() {
		h[http.CanonicalHeaderKey(name)] = from.Values(name)
	}
	return h
}

// announcedTrailer returns a map with a key and no values for each field named in the Trailer header, as net/http
// specifies for Request.Trailer. It enables trailers in the host if the header is present.
func announcedTrailer(h http.Header) http.Header {
	names := h.Values("Trailer")
	if len(names) == 0 {
		return nil
	}
	if !guest.EnableTrailers() {
		return nil
	}
	trailer := http.Header{}
	for _, list := range names {
		for name := range strings.SplitSeq(list, ",") {
			trailer[http.CanonicalHeaderKey(strings.TrimSpace(name))] = nil
		}
	}
	h.Del("Trailer")
	return trailer
}

// body is the Body of a request. At the end of the body it sets the request's Trailer.
type body struct {
	guest   *guest.Request
	request *http.Request
	peeked  []byte // read by empty, not yet returned by Read
	closed  bool
}

// empty reports whether the body is empty, by reading its first byte. GET and HEAD requests rarely have a body, and
// handlers expect ContentLength to be 0 in that case.
func (b *body) empty() bool {
	first := make([]byte, 1)
	n, err := b.guest.Read(first)
	b.peeked = first[:n]
	return err == io.EOF
}

func (b *body) Read(p []byte) (int, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	if len(b.peeked) > 0 {
		n := copy(p, b.peeked)
		b.peeked = b.peeked[n:]
		return n, nil
	}
	n, err := b.guest.Read(p)
	if err == io.EOF && b.request.Trailer != nil {
		b.request.Trailer = headerOf(b.guest.Trailer)
	}
	return n, err
}

func (b *body) Close() error {
	b.closed = true
	return nil
}
