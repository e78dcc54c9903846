package admin

import (
	"context"
	"net"

	"github.com/vespo-dev/vespo/internal/problem"
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
	authority := h.cfg.Authority
	token, bearer := access.Bearer(r.Header)
	if !authority.HasAdmin() && !(bearer && tokens.Is(token)) {
		return identity.Local(), h.access.CheckLocal(r.Request)
	}
	if err := h.access.CheckOrigin(r.Request); err != nil {
		return nil, err
	}
	switch {
	case len(r.Header.Values("Authorization")) == 0:
		return nil, problem.New(problem.Unauthorized, "management needs the header Authorization: Bearer TOKEN, with the server's --admin-token or a token of it")
	case !bearer:
		return nil, problem.New(problem.Unauthorized, "the Authorization header does not carry the server's --admin-token or a token of it: send Bearer TOKEN, once")
	}
	client := r.Client.Or(r.Request)
	return authority.Principal(token, client.Addr())
}
