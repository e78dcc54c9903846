package admin

import (
	"context"
	"net"

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

// Enabled reports whether management answers on a listener at addr. It requires a token or a loopback
// address.
func Enabled(addr net.Addr, token string) bool { return access.Enabled(addr, token) }

// newGuard returns the access guard of the management API.
func newGuard(token string) *access.Guard {
	return access.New(access.Surface{
		Name:       "management",
		ListenFlag: "--listen",
		Example:    "127.0.0.1:8080",
		TokenFlag:  "--admin-token",
	}, token)
}
