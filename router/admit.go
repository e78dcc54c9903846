package router

import (
	"net/netip"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// taken is what a request holds of the capacity.
type taken struct {
	limiter    *admission.Limiter // nil if nothing is held of it, nor of shares
	connection string             // that has a share; empty: none is held
	client     netip.Addr         // that has a share; invalid: none is held
}

// admit takes the shares of the request's connection and client, and then the limiter's capacity, and waits for what is not free.
func (x *exchange) admit(l *admission.Limiter) error {
	rec := &x.record
	ctx := x.request.Context()
	t := taken{limiter: l}
	if shares := l.Shares(); shares != nil && x.only == "" {
		connection, client := shareholders(&rec.Client, x.writer.http1)
		if connection != "" {
			wait, err := shares.Connections.Acquire(ctx, connection)
			if rec.QueueWait += wait; err != nil {
				return admissionError(err, l)
			}
			t.connection = connection
		}
		if client.IsValid() {
			wait, err := shares.Clients.Acquire(ctx, client)
			if rec.QueueWait += wait; err != nil {
				t.limiter = nil
				t.giveShares(shares)
				return admissionError(err, l)
			}
			t.client = client
		}
	}
	wait, err := l.Acquire(ctx)
	if rec.QueueWait += wait; err != nil {
		t.giveShares(l.Shares())
		return admissionError(err, l)
	}
	x.taken = t
	return nil
}

// release gives back what admit has taken, if it was not given back before.
func (x *exchange) release(now time.Time) {
	t := x.taken
	if t.limiter == nil {
		return
	}
	x.taken = taken{}
	t.limiter.ReleaseAt(now)
	t.giveShares(t.limiter.Shares())
}

func (t *taken) giveShares(shares *admission.Shares) {
	if t.connection != "" {
		shares.Connections.Release(t.connection)
	}
	if t.client.IsValid() {
		shares.Clients.Release(t.client)
	}
}

// shareholders returns the connection and the client whose shares a request takes. A connection of HTTP/1 has one request at a time, and
// needs none. A trusted proxy has the requests of many clients on its connections, and is no client itself. Addresses of this
// machine are no clients either: a proxy that is not trusted has no other.
func shareholders(c *forwarded.Client, http1 bool) (connection string, client netip.Addr) {
	if !http1 && !c.Trusted {
		connection = c.Peer
	}
	if c.Trusted && c.Remote == c.Peer || strings.HasPrefix(c.Remote, "127.") || strings.HasPrefix(c.Remote, "[::1]:") {
		return connection, netip.Addr{}
	}
	remote, err := netip.ParseAddrPort(c.Remote)
	if err != nil || remote.Addr().Unmap().IsLoopback() {
		return connection, netip.Addr{}
	}
	return connection, forwarded.Site(remote.Addr())
}
