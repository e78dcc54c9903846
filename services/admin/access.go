package admin

import (
	"context"
	"net"

	"github.com/vespo-dev/vespo/services/internal/access"
)

// WithListener notes in a server's base context which listener its requests come from:
//
//	server.BaseContext = func(l net.Listener) context.Context { return admin.WithListener(ctx, l.Addr()) }
//
// A request whose context was not marked counts as one from a listener that other machines reach.
func WithListener(ctx context.Context, addr net.Addr) context.Context {
	return access.WithListener(ctx, addr)
}

// Enabled reports whether management answers on a listener at addr at all: that needs a token or a loopback address.
func Enabled(addr net.Addr, token string) bool { return access.Enabled(addr, token) }

// newGuard says who may manage.
func newGuard(token string) *access.Guard {
	return access.New(access.Surface{
		Name: "management", ListenFlag: "--listen", Example: "127.0.0.1:8080", TokenFlag: "--admin-token",
	}, token)
}
