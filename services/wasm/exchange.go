package wasm

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/runtime/abi"
)

// exchange is one HTTP request as the runtime sees it.
type exchange struct {
	abi.Exchange
	request  *http.Request
	body     requestBody
	response response
}

func newExchange(w http.ResponseWriter, r *http.Request, rec *accesslog.Record, d *deployment, deadline time.Time) *exchange {
	x := &exchange{request: r}
	x.response = response{w: w, context: r.Context(), deadline: deadline}
	x.body = requestBody{from: r.Body, left: d.kind.cfg.MaxBodyBytes}
	if r.ContentLength != 0 {
		rc := http.NewResponseController(w) // errors: a connection without these has no need of them
		// A client that sends too slowly fails its own request; it cannot hold the slot beyond the deadline.
		_ = rc.SetReadDeadline(deadline)
		// Without it, HTTP/1 takes the rest of the body away from a guest that begins to answer before it has read all.
		_ = rc.EnableFullDuplex()
	}
	x.Exchange = abi.Exchange{
		Method: r.Method, URI: r.URL.RequestURI(), Proto: r.Proto, Scheme: "http", Host: r.Host, RemoteAddr: r.RemoteAddr,
		Prefix: rec.Prefix, Rest: rec.Rest, Header: r.Header, ContentLength: r.ContentLength, Body: &x.body,
		Response: &x.response, Log: d.environment.Log, RequestID: rec.RequestID, Deadline: deadline, Context: r.Context(),
	}
	if r.ContentLength < 0 || r.Trailer != nil { // no others can have any
		x.Trailer = func() abi.Header { return r.Trailer }
	}
	x.Config = d.spec.Options.Config
	if d.outbound != nil {
		x.Outbound = d.outbound.ForExchange(deadline)
	}
	if r.TLS != nil {
		x.Scheme = "https"
	}
	x.LocalAddr, _ = r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return x
}

// requestBody is the request's body with its limit. It remembers why it could not be read.
type requestBody struct {
	from     io.ReadCloser
	left     int64 // bytes that may still come
	tooLarge bool
	late     bool
	failed   error
}

var errBodyTooLarge = errors.New("the request's body is larger than the limit")

func (b *requestBody) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1] // one byte more than allowed tells that there is more
	}
	n, err := b.from.Read(p)
	if int64(n) > b.left {
		n, err, b.tooLarge = int(b.left), errBodyTooLarge, true
	}
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.failed, b.late = err, errors.Is(err, os.ErrDeadlineExceeded)
	}
	return n, err
}
