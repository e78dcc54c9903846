package forward

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// Bounds of the wait for a peer that does not respond, such as one that is stopped or cut off. A request that waits for it ends
// after quietTime + pings * pingTimeout, 5 s.
const (
	// quietTime is how long a request waits before the peer is asked whether it lives, and the time between two such questions.
	quietTime   = time.Second
	pingTimeout = 2 * time.Second
	pings       = 2 // all of which fail if the peer is lost
)

// errLost is the cause of the end of a request whose peer does not respond.
var errLost = errors.New("the other host does not respond")

// watch calls lost if the peer stops to respond while a request waits for it, however long that takes. stop ends the watch, and
// waits for its goroutine.
func (p *Peer) watch(ctx context.Context, lost func()) (stop func()) {
	ended := make(chan struct{})
	timer := time.AfterFunc(quietTime, func() { // most requests end before
		defer close(ended)
		for p.responds(ctx) {
			select {
			case <-time.After(quietTime):
			case <-ctx.Done():
				return
			}
		}
		lost()
	})
	return func() {
		if !timer.Stop() {
			<-ended
		}
	}
}

// responds reports whether the peer has responded within quietTime, and asks it otherwise. Of many requests that wait for a peer, one
// asks. It reports true if ctx ends.
func (p *Peer) responds(ctx context.Context) bool {
	select {
	case p.pinging <- struct{}{}:
		defer func() { <-p.pinging }()
	case <-ctx.Done():
		return true
	}
	began := time.Now()
	if lost := p.lost.Load(); lost > p.heardAt.Load() && began.UnixNano()-lost < int64(quietTime) {
		return false // another request has asked
	}
	for range pings {
		if p.heardSince(began.Add(-quietTime)) || p.ping(ctx) || ctx.Err() != nil {
			return true
		}
	}
	now := time.Now()
	p.lost.Store(now.UnixNano())
	p.failed(now)
	return false
}

// ping asks the peer for any answer, and reports whether it lives. One that refuses a connection does: it may be ending its last
// requests, and if it has died, its connections break.
func (p *Peer) ping(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	r := (&http.Request{
		Method: http.MethodOptions,
		URL:    &url.URL{Scheme: "https", Host: p.cfg.Address, Opaque: "*"},
		Host:   p.cfg.Address,
		Header: make(http.Header),
	}).WithContext(ctx)
	resp, err := p.transport.RoundTrip(r)
	if err == nil {
		_ = resp.Body.Close() // it is empty
		p.heard()
		return true
	}
	var timeout net.Error
	silent := errors.As(err, &timeout) && timeout.Timeout()
	return !silent && !errors.Is(err, syscall.EHOSTUNREACH) && !errors.Is(err, syscall.ENETUNREACH)
}

// heard notes a response of the peer.
func (p *Peer) heard() { p.heardAt.Store(time.Now().UnixNano()) }

func (p *Peer) heardSince(t time.Time) bool { return p.heardAt.Load() >= t.UnixNano() }
