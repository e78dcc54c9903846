package forwarded

import (
	"context"
	"net/netip"
)

// Relay is what the PROXY protocol has told of a connection.
type Relay struct {
	Relayed bool // the connection began with a PROXY header
	Local   bool // the proxy has opened it for itself
	// Source and Destination are the ends of the client's connection to the proxy; zero if they are not known.
	Source, Destination netip.AddrPort
}

// Conn is a connection that may have come through a proxy. Relay is called when a request of the connection has been read.
type Conn interface{ Relay() Relay }

type connKey struct{}

// WithConn notes the connection in the context of its requests.
func WithConn(ctx context.Context, c Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// relayOf returns what is known of the connection of a request.
func relayOf(ctx context.Context) Relay {
	if c, ok := ctx.Value(connKey{}).(Conn); ok {
		return c.Relay()
	}
	return Relay{}
}

// Relayed reports whether the connection of a request came through a proxy, by the PROXY protocol.
func Relayed(ctx context.Context) bool { return relayOf(ctx).Relayed }
