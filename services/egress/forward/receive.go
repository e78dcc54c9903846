package forward

import (
	"context"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/client"
	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
)

// Receiver serves requests that other hosts pass on. The zero Receiver declines all of them.
type Receiver struct {
	leaving  func() bool // immutable; may be nil
	forwards bool        // immutable: requests to services that are not loaded elsewhere are served
	router   atomic.Pointer[router.Router]
	holder   atomic.Pointer[Holder]
	served   atomic.Uint64
	declined atomic.Uint64
}

// ServeBy sets the router that serves the requests from then on.
func (v *Receiver) ServeBy(rt *router.Router) { v.router.Store(rt) }

// Holder knows which placed services this host serves.
type Holder interface {
	// Holds reports whether the router serves the service, by the definition or as of the generation or a later one.
	Holds(key routekey.Key, definition string, g registry.Generation) bool
	// Later returns the generation from which the service has another definition here, if that is after g, else 0.
	Later(key routekey.Key, definition string, g registry.Generation) registry.Generation
	// Unable reports whether this host has to serve the service, and cannot prepare it.
	Unable(key routekey.Key) bool
}

// HoldBy sets the holder of placed services. Before, requests to these are declined.
func (v *Receiver) HoldBy(h Holder) { v.holder.Store(&h) }

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
	if n.Expects && r.ContentLength != 0 {
		w = client.Inviting(w)
	}
	if r = n.restored(r); v.serve(&n, w, r) {
		v.served.Add(1)
		return
	}
	status := http.StatusMisdirectedRequest
	if n.Placed && v.unable(&n) {
		status = http.StatusServiceUnavailable
	}
	v.decline(w, &n, status)
}

// unable reports whether other hosts need not ask again: this one cannot prepare the service.
func (v *Receiver) unable(n *note) bool {
	h := v.holder.Load()
	return h != nil && (*h).Unable(n.passed().Key)
}

// decline leaves the request to the other host.
func (v *Receiver) decline(w http.ResponseWriter, n *note, status int) {
	v.declined.Add(1)
	w.Header().Set(httpfield.ForwardHeader, n.Nonce)
	w.WriteHeader(status)
}

func (v *Receiver) serve(n *note, w http.ResponseWriter, r *http.Request) bool {
	rt := v.router.Load()
	if n.Placed { // a host that is leaving serves what it has
		h := v.holder.Load()
		p := n.passed()
		if rt == nil || h == nil || (*h).Unable(p.Key) || !(*h).Holds(p.Key, n.Version, n.Generation) {
			return false
		}
		if n.Later {
			header := w.Header()
			w = client.AtHeader(w, func(int) { n.tell(*h, header) })
		}
		return rt.ServePassed(p, w, r)
	}
	return v.forwards && rt != nil && (v.leaving == nil || !v.leaving()) && rt.ServePassed(n.passed(), w, r)
}

// tell adds the generation that the service is served as of to a response header, if it is later than the other host knows. The service
// may have changed since the request came.
func (n *note) tell(h Holder, header http.Header) {
	if g := h.Later(n.passed().Key, n.Version, n.Generation); g != 0 {
		header.Set(httpfield.ForwardHeader, laterValue(n.Nonce, g))
	}
}

// restored returns the request as the other host has received it. ProtoMajor stays that of the connection, as it decides how the
// response is written.
func (n *note) restored(r *http.Request) *http.Request {
	if !n.Expects {
		delete(r.Header, "Expect") // it was for this host
	}
	if n.restoreHop(r.Header); n.Unsized {
		delete(r.Header, "Content-Length") // of an empty body
	}
	ctx := r.Context()
	if local, err := netip.ParseAddrPort(n.Local); err == nil {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, net.TCPAddrFromAddrPort(local))
	}
	own := r.WithContext(ctx)
	own.Proto = n.Proto
	return own
}
