package lane

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"runtime/debug"
)

// secure completes the handshake of a connection with TLS. It returns errOther if the connection has to go to net/http
// before a byte of it is read: after a failure, which net/http finds again, or if the client has chosen another protocol.
func (c *conn) secure() error {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	c.reason = Protocol
	if err := handshake(c.base, secure); err != nil {
		return errOther
	}
	state := secure.ConnectionState()
	if state.NegotiatedProtocol != "" && state.NegotiatedProtocol != "http/1.1" {
		return errOther
	}
	c.template.TLS = &state
	return nil
}

// other returns the connection for net/http, after an error of secure.
func (c *conn) other() net.Conn {
	secure, ok := c.Conn.(*tls.Conn)
	if !ok || !c.server.unencryptedHTTP2() {
		return c.Conn
	}
	state := secure.ConnectionState()
	if !state.HandshakeComplete || state.NegotiatedProtocol != "h2" || state.Version < tls.VersionTLS13 {
		return c.Conn
	}
	return c.server.frames.WrapTLS(secure, &state)
}

// unencryptedHTTP2 reports whether the http.Server recognises HTTP/2 by its preface, as it must if the connection is wrapped.
func (s *Server) unencryptedHTTP2() bool {
	return s.http.Protocols != nil && s.http.Protocols.UnencryptedHTTP2()
}

// handshake returns a panic of a function of the configuration as an error.
func handshake(ctx context.Context, c *tls.Conn) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return c.HandshakeContext(ctx)
}

// secured is a connection with TLS whose first bytes were read already. net/http asks for its state.
type secured struct {
	*replayed
	secure *tls.Conn
}

// ConnectionState returns the state of the connection for http.Request.TLS.
func (c secured) ConnectionState() tls.ConnectionState { return c.secure.ConnectionState() }
