package forward

import (
	"context"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/router"
)

// Receiver serves requests that other hosts pass on. The zero Receiver declines all of them.
type Receiver struct {
	leaving  func() bool // immutable; may be nil
	router   atomic.Pointer[router.Router]
	served   atomic.Uint64
	declined atomic.Uint64
}

// ServeBy sets the router that serves the requests from then on.
func (v *Receiver) ServeBy(rt *router.Router) { v.router.Store(rt) }

// Receive answers a request for which Asks holds. token is that of this host.
func (v *Receiver) Receive(w http.ResponseWriter, r *http.Request, token string) {
	n, err := takeNote(r)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	case subtle.ConstantTimeCompare([]byte(n.Token), []byte(token)) != 1:
		v.decline(w, &n, http.StatusUnauthorized)
		return
	}
	if r = n.restored(r); v.serve(&n, w, r) {
		v.served.Add(1)
		return
	}
	v.decline(w, &n, http.StatusMisdirectedRequest)
}

// decline tells the other host to serve the request itself.
func (v *Receiver) decline(w http.ResponseWriter, n *note, status int) {
	v.declined.Add(1)
	w.Header().Set(httpfield.ForwardHeader, n.Nonce)
	w.WriteHeader(status)
}

func (v *Receiver) serve(n *note, w http.ResponseWriter, r *http.Request) bool {
	rt := v.router.Load()
	return rt != nil && (v.leaving == nil || !v.leaving()) && rt.ServePassed(n.passed(), w, r)
}

// restored returns the request as the other host has received it. ProtoMajor stays that of the connection, as it decides how the
// response is written.
func (n *note) restored(r *http.Request) *http.Request {
	if !n.Expects {
		delete(r.Header, "Expect") // it was for this host
	}
	ctx := r.Context()
	if local, err := netip.ParseAddrPort(n.Local); err == nil {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.TCPAddrFromAddrPort(local))
	}
	own := r.WithContext(ctx)
	own.Proto = n.Proto
	return own
}
