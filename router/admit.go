package router

import (
	"net/netip"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// taken is what a request holds of the capacity. Whose the shares are is in its record.
type taken struct {
	limiter    *admission.Limiter // nil if nothing is held
	connection bool               // a place of the connection's share
	client     bool               // a place of the client's share
}

// admit takes the shares of the request's connection and client, and then the limiter's capacity, and waits for what is not free.
func (x *exchange) admit(l *admission.Limiter) error {
	x.taken.limiter = l
	err := x.takeShares(l)
	if err == nil {
		var wait time.Duration
		wait, err = l.Acquire(x.request.Context())
		x.record.QueueWait += wait
	}
	if err == nil {
		return nil
	}
	x.giveShares()
	return admissionError(err, l)
}

func (x *exchange) takeShares(l *admission.Limiter) error {
	shares := l.Shares()
	if shares == nil || x.only != "" { // a service's own request is a part of one that has its shares
		return nil
	}
	ctx, rec := x.request.Context(), &x.record
	connection, client := shareholders(&rec.Client, x.writer.http1)
	if connection != "" {
		wait, err := shares.Connections.Acquire(ctx, connection)
		rec.QueueWait += wait
		if x.taken.connection = err == nil; err != nil {
			return err
		}
	}
	if client.IsValid() {
		wait, err := shares.Clients.Acquire(ctx, client)
		rec.QueueWait += wait
		x.taken.client = err == nil
		return err
	}
	return nil
}

// release gives back what admit has taken, if it was not given back before.
func (x *exchange) release(now time.Time) {
	if x.taken.limiter != nil {
		x.taken.limiter.ReleaseAt(now)
		x.giveShares()
	}
}

// giveShares gives the shares back, and forgets the limiter.
func (x *exchange) giveShares() {
	t := x.taken
	x.taken = taken{}
	if !t.connection && !t.client {
		return
	}
	shares := t.limiter.Shares()
	connection, client := shareholders(&x.record.Client, x.writer.http1)
	if t.connection {
		shares.Connections.Release(connection)
	}
	if t.client {
		shares.Clients.Release(client)
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
