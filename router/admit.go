package router

import (
	"net/netip"
	"time"

	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// taken is the capacity that a request holds.
type taken struct {
	place      *admission.Place // nil if the request was not admitted
	connection admission.Held[string]
	client     admission.Held[netip.Addr]
}

// admit takes the shares of the request's connection and client, then a place of the
// limiter. It waits for each as needed.
func (x *exchange) admit(l *admission.Limiter) error {
	err := x.takeShares(l)
	if err == nil {
		var wait time.Duration
		x.taken.place, wait, err = l.Acquire(x.request.Context())
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
		held, wait, err := shares.Connections.Acquire(ctx, connection)
		rec.QueueWait += wait
		if x.taken.connection = held; err != nil {
			return err
		}
	}
	if client.IsValid() {
		held, wait, err := shares.Clients.Acquire(ctx, client)
		rec.QueueWait += wait
		x.taken.client = held
		return err
	}
	return nil
}

// release returns the capacity taken by admit. It does nothing if that was already released.
func (x *exchange) release(now time.Time) {
	if x.taken.place != nil {
		x.taken.place.ReleaseAt(now)
		x.giveShares()
	}
}

// giveShares releases the shares and forgets the place.
func (x *exchange) giveShares() {
	x.taken.connection.Release()
	x.taken.client.Release()
	x.taken = taken{}
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
