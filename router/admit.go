package router

import (
	"net/netip"
	"time"

	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// taken is the capacity that a request holds. The keys of its shares come from its client.
type taken struct {
	limiter    *admission.Limiter // nil if nothing is held
	connection bool               // the request holds a place in the connection's share
	client     bool               // the request holds a place in the client's share
}

// admit takes the shares of the request's connection and client, then a place of the
// limiter. It waits for each as needed.
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
	if shares == nil || x.only != "" { // an internal request runs within a request that already holds its shares
		return nil
	}
	ctx, rec := x.request.Context(), &x.record
	connection, client := shareholders(&x.request.Client, x.writer.http1)
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

// release returns the capacity taken by admit. It does nothing if that was already released.
func (x *exchange) release(now time.Time) {
	if x.taken.limiter != nil {
		x.taken.limiter.ReleaseAt(now)
		x.giveShares()
	}
}

// giveShares releases the shares and forgets the limiter.
func (x *exchange) giveShares() {
	t := x.taken
	x.taken = taken{}
	if !t.connection && !t.client {
		return
	}
	shares := t.limiter.Shares()
	connection, client := shareholders(&x.request.Client, x.writer.http1)
	if t.connection {
		shares.Connections.Release(connection)
	}
	if t.client {
		shares.Clients.Release(client)
	}
}

// shareholders returns the connection and the client to which a request is counted; either may be
// empty. An HTTP/1 connection carries one request at a time and needs no share. A trusted proxy
// multiplexes many clients on a connection.
func shareholders(c *forwarded.Client, http1 bool) (connection string, client netip.Addr) {
	if !http1 && !c.Trusted {
		connection = c.Peer
	}
	return connection, c.Holder()
}
