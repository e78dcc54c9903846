package lane

import (
	"context"
	"crypto/tls"
	"fmt"
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
