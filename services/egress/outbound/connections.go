package outbound

import (
	"context"
	"net"
	"sync/atomic"

	"github.com/vespo-dev/vespo/internal/sockio"
)

// Limits of the connections that are kept open between requests.
const (
	// DefaultConnections is the limit of a Connections of 0.
	DefaultConnections = 1024
	// maxIdle is the most of one Client. More requests at a time than this are rare, and for a server with TLS or far away a new
	// connection costs more than the request.
	maxIdle = 128
)

// Connections counts the open connections of several clients. Above its limit, a new request closes its connection at its end. It is
// safe for concurrent use.
type Connections struct {
	most int64 // immutable
	open atomic.Int64
}

// NewConnections returns a Connections with a limit; 0 selects DefaultConnections.
func NewConnections(most int) *Connections {
	if most <= 0 {
		most = DefaultConnections
	}
	return &Connections{most: int64(most)}
}

// Open returns the number of open connections.
func (c *Connections) Open() int64 { return c.open.Load() }

// full reports whether a request that begins now is to close its connection.
func (c *Connections) full() bool { return c.open.Load() > c.most }

// counting returns a dial function that counts the connections of another one.
func (c *Connections) counting(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		c.open.Add(1)
		return &counted{Conn: sockio.Of(conn), from: c}, nil
	}
}

// dialFunc is the type of http.Transport.DialContext.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// counted is a connection of a Connections, until it is closed.
type counted struct {
	net.Conn
	from   *Connections
	closed atomic.Bool
}

func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.from.open.Add(-1)
	}
	return c.Conn.Close()
}
