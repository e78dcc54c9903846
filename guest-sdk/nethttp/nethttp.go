// Package nethttp serves an [net/http.Handler] in a guest:
//
//	func init() {
//		mux := http.NewServeMux()
//		mux.HandleFunc("GET /hello/{name}", hello)
//		nethttp.Serve(mux)
//	}
//
// Requests and responses behave as with a net/http server, with these exceptions:
//
//   - The request's context is not cancelled when the client disconnects. The host stops the guest instead.
//   - The [net/http.ResponseWriter] implements [net/http.Flusher] but not [net/http.Hijacker]. Full duplex is not
//     supported, and informational (1xx) responses are dropped.
//   - Flush does nothing until part of the body is written, because http-wasm cannot send a header without a body. See
//     [guest.Response.Flush] for the time at which the host sends the bytes.
//   - The path includes the prefix that the service is mounted at. To remove it, use StripPrefix of package
//     vespo/vespohttp.
//
// A guest has no network of its own, so [net/http.Get] and clients without a Transport fail with [ErrNoNetwork]. To make
// requests, use Transport of package vespo/vespohttp:
//
//	client := http.Client{Transport: vespohttp.Transport{}}
//
// A guest that imports net/http is about 5 MB in size, most of which is net/http.
package nethttp

import (
	"net/http"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/internal/abi"
)

// Serve registers h as the guest's handler. It must be called once, in an init function; see [guest.Handle].
func Serve(h http.Handler) {
	abi.Settle = append(abi.Settle, settle)
	guest.Handle(Handler(h))
}

// Handler returns a [guest.Handler] that calls h. Requests with an invalid URI, protocol version or Content-Length get
// status 400 without a call of h.
func Handler(h http.Handler) guest.Handler {
	refuseNetwork()
	return func(gw *guest.Response, gr *guest.Request) {
		r, err := newRequest(gr)
		if err != nil {
			gw.Text(http.StatusBadRequest, "400 Bad Request\n")
			return
		}
		w := &responseWriter{guest: gw, header: http.Header{}, head: r.Method == http.MethodHead}
		defer func() {
			if v := recover(); v == http.ErrAbortHandler {
				panic(guest.ErrAbort)
			} else if v != nil {
				panic(v)
			}
		}()
		h.ServeHTTP(w, r)
		w.finish()
	}
}
