// Package nethttp serves an [net/http.Handler] as a guest:
//
//	func init() {
//		mux := http.NewServeMux()
//		mux.HandleFunc("GET /hello/{name}", hello)
//		nethttp.Serve(mux)
//	}
//
// The handler gets what it gets from a net/http server, with these differences. The request's context ends only with the guest. There
// is no Hijacker, no full duplex and no 1xx status. A service mounted under a prefix sees the whole path: see the package
// vespo/vespohttp for what strips it. To net/http belongs most of the size of a guest that uses it: some 5 MB.
package nethttp

import (
	"net/http"

	guest "github.com/vespo-dev/vespo/guest-sdk"
)

// Serve registers an http.Handler as the guest's handler. Call it once, in an init function.
func Serve(h http.Handler) { guest.Handle(Handler(h)) }

// Handler makes a guest's handler of an http.Handler.
func Handler(h http.Handler) guest.Handler {
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
