package forwarded

import (
	"context"
	"net/netip"
)

// Relay holds the data of a connection's PROXY protocol header.
type Relay struct {
	Relayed bool // the connection began with a PROXY header
	Local   bool // the proxy opened the connection for itself
	// Source and Destination are the addresses of the client's connection to the proxy; zero if unknown.
	Source, Destination netip.AddrPort
}

// Conn is a connection that may use the PROXY protocol. Relay is called after a request
// of the connection has been read.
type Conn interface{ Relay() Relay }

type connKey struct{}

// WithConn returns a context with the connection, for its requests.
func WithConn(ctx context.Context, c Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// relayOf returns the Relay of a request's connection.
func relayOf(ctx context.Context) Relay {
	if c, ok := ctx.Value(connKey{}).(Conn); ok {
		return c.Relay()
	}
	return Relay{}
}

// Relayed reports whether a request's connection began with a PROXY protocol header.
func Relayed(ctx context.Context) bool { return relayOf(ctx).Relayed }
