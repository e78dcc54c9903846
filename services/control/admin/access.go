package admin

import (
	"context"
	"fmt"
	"net"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services/control/identity"
	"github.com/vespo-dev/vespo/services/control/tokens"
	"github.com/vespo-dev/vespo/services/internal/access"
)

// WithListener records in a server's base context which listener its requests come from:
//
//	server.BaseContext = func(l net.Listener) context.Context { return admin.WithListener(ctx, l.Addr()) }
//
// A request without this mark counts as one from a public listener.
func WithListener(ctx context.Context, addr net.Addr) context.Context {
	return access.WithListener(ctx, addr)
}

// WithAdminListener is WithListener for a listener that serves management alone. Its pages are the server's own, so
// that they may manage without a token, and it has the endpoints that no page of a guest may share an origin with.
func WithAdminListener(ctx context.Context, addr net.Addr) context.Context {
	return access.WithOwnOrigin(access.WithListener(ctx, addr))
}

// Enabled reports whether management answers on a listener at addr. It requires a token or a loopback
// address.
func Enabled(addr net.Addr, token string) bool { return access.Enabled(addr, token) }

// newGuard returns the access guard of the management API.
func newGuard() *access.Guard {
	return access.New(access.Surface{
		Name:       "management",
		ListenFlag: "--listen",
		Example:    "127.0.0.1:8080",
		TokenFlag:  "--admin-token",
	}, "")
}

// identify returns who sends the request, or a problem if the sender may not manage.
//
// A token in the form of this server's tokens is never ignored: a job whose token was revoked must not become an
// administrator because it runs on the server's machine.
func (h *Handler) identify(r *router.Request) (*identity.Principal, error) {
	token, bearer := access.Bearer(r.Header)
	return h.recognise(r, token, bearer, func() error {
		if len(r.Header.Values("Authorization")) == 0 {
			return problem.New(problem.Unauthorized, "management needs the header Authorization: Bearer TOKEN, with the server's --admin-token or a token of it")
		}
		return problem.New(problem.Unauthorized, "the Authorization header does not carry the server's --admin-token or a token of it: send Bearer TOKEN, once")
	})
}

// recognise returns the principal of a token, or of this machine without one. ok reports whether the request has a token in
// the form that it must have; otherwise unusable returns the problem, if one is needed.
func (h *Handler) recognise(r *router.Request, token string, ok bool, unusable func() error) (*identity.Principal, error) {
	authority := h.cfg.Authority
	if !authority.HasAdmin() && !(ok && tokens.Is(token)) {
		return identity.Local(), h.access.CheckLocal(r.Request)
	}
	if err := h.access.CheckOrigin(r.Request); err != nil {
		return nil, err
	}
	if !ok {
		return nil, unusable()
	}
	client := r.Client.Or(r.Request)
	return authority.Principal(token, client.Addr())
}

// MayReport implements router.MayReport: it asks for a principal that may see the service. A request for a service may have
// an Authorization of its own, so the token comes in a header of its own.
func (h *Handler) MayReport(r *router.Request, service routekey.Key, given []string) error {
	token := ""
	if len(given) == 1 {
		token = given[0]
	}
	caller, err := h.recognise(r, token, token != "", func() error {
		return problem.New(problem.Forbidden, "send the header Vespo-Token, once, with the server's --admin-token or a token of it")
	})
	switch p := problem.From(err); {
	case err == nil:
	case p.Kind() == problem.Unauthorized:
		return noReport("the header Vespo-Token does not carry the server's --admin-token or a token of it that is in use").WithCause(err)
	case p.Kind() == problem.Forbidden:
		return noReport(p.Detail).WithCause(err)
	default:
		return err
	}
	if !caller.Scopes.Read(service) {
		return noReport(fmt.Sprintf("the %s has the scopes %s, and this needs read, or deploy:%s", caller, caller.Scopes, service))
	}
	return nil
}

// noReport is the problem of a client that may not see what its request costs. Its request is not served: it could take an
// answer without a report for one whose costs are not known.
func noReport(detail string) *problem.Problem {
	return problem.New(problem.Forbidden, "the request asks for a report of its costs (Vespo-Report): "+detail)
}
