// Package vespohttp is the adapter between package vespo and net/http.
//
// [Transport] sends the outbound requests of an [net/http.Client]:
//
//	client := http.Client{Transport: vespohttp.Transport{}}
//
// Programs that use [net/http.Get] or [net/http.DefaultClient] set the transport for all of them:
//
//	func init() { http.DefaultTransport = vespohttp.Transport{} }
//
// [StripPrefix] removes the prefix that the service is mounted at from the path:
//
//	nethttp.Serve(vespohttp.StripPrefix(mux))
//
// A guest that uses this package requires Vespo as the host; see package vespo.
package vespohttp

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
	"github.com/vespo-dev/vespo/guest-sdk/vespo"
)

// A guest with this package runs in Vespo, so that package nethttp can use its functions, too.
var _ = abi.KnowHost()

// StripPrefix returns a handler that removes the service's prefix from the request URL's Path and RawPath and calls h. A
// service mounted at /shop sees /shop/item/1 as /item/1. Unlike [http.StripPrefix], it takes no prefix: it uses the path
// of [vespo.Rest], so the service works under any prefix. RequestURI is not changed.
func StripPrefix(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rest := vespo.Rest()
		path, err := url.PathUnescape(rest)
		if err != nil {
			http.Error(w, "400 Bad Request", http.StatusBadRequest)
			return
		}
		stripped := *r
		u := *r.URL
		u.Path, u.RawPath = path, rest
		stripped.URL = &u
		h.ServeHTTP(w, &stripped)
	})
}

// Transport is an [http.RoundTripper] that uses [vespo.Fetch]. The zero value is ready for use.
//
// The end of a request's context does not interrupt a call in progress, because nothing else runs in the guest while it
// waits for the host. This includes the Timeout of an [http.Client]. The host applies the deadline of the incoming
// request to its calls.
type Transport struct{}

// RoundTrip sends r and returns when the response's header has arrived. Errors can be tested for the codes of package
// vespo, such as [vespo.ErrDenied].
func (Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	call := &vespo.Call{Method: r.Method, URI: absolute(r.URL), Header: fields(r)}
	if r.Body != nil && r.Body != http.NoBody {
		call.Body = r.Body
	}
	answer, err := vespo.Fetch(call)
	if err != nil {
		return nil, err
	}
	header := http.Header(abi.HeaderOf(answer.Fields()))
	response := &http.Response{
		Status:        strconv.Itoa(answer.Status) + " " + http.StatusText(answer.Status),
		StatusCode:    answer.Status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		ContentLength: contentLength(header),
		Request:       r,
	}
	response.Body = &body{answer, response}
	return response, nil
}

// contentLength returns the value of Content-Length, or -1 if it is absent or invalid.
func contentLength(header http.Header) int64 {
	n, err := strconv.ParseUint(header.Get("Content-Length"), 10, 63)
	if err != nil {
		return -1
	}
	return int64(n)
}

// absolute returns the URI to send, without the fragment and the credentials. Credentials are sent as Authorization.
func absolute(u *url.URL) string {
	sent := *u
	sent.Fragment, sent.RawFragment, sent.User = "", "", nil
	return sent.String()
}

// fields returns the header fields to send. The host sets Host from the URI unless it is among them.
func fields(r *http.Request) (all [][2]string) {
	if r.Host != "" && r.Host != r.URL.Host {
		all = append(all, [2]string{"host", r.Host})
	}
	if user := r.URL.User; user != nil && r.Header.Get("Authorization") == "" {
		password, _ := user.Password()
		credentials := http.Request{Header: http.Header{}}
		credentials.SetBasicAuth(user.Username(), password)
		all = append(all, [2]string{"authorization", credentials.Header.Get("Authorization")})
	}
	if r.ContentLength > 0 {
		all = append(all, [2]string{"content-length", strconv.FormatInt(r.ContentLength, 10)})
	}
	for name, values := range r.Header {
		for _, value := range values {
			all = append(all, [2]string{strings.ToLower(name), value})
		}
	}
	return all
}

// body is the Body of a response. At the end of the body it sets the response's Trailer if there are
// trailers.
type body struct {
	answer   *vespo.Answer
	response *http.Response
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.answer.Read(p)
	if err == io.EOF {
		if fields := b.answer.TrailerFields(); len(fields) > 0 {
			b.response.Trailer = abi.HeaderOf(fields)
		}
	}
	return n, err
}

func (b *body) Close() error { return b.answer.Close() }
