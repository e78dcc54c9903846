package conns

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/handover"
)

// Config bounds the connections of a listener. Its time limits apply while Watch runs.
type Config struct {
	Flag           string        // flag that sets the address, for messages
	MaxConnections int           // open at a time
	Reserved       int           // of these, reserved for peers on this machine
	PerPeer        int           // open at a time from one address of another machine; 0: no limit
	First          time.Duration // to receive the header of the first request; 0: no idle connection is closed to make room
	Idle           time.Duration // to receive the header of a later request
	Write          time.Duration // for the client to take one piece of pieceBytes
	Log            *slog.Logger  // gets a record when a bound acts, at most every reportTicks; may be nil

	Trusted       func(netip.Addr) bool // reports whether a peer is a trusted proxy, to which PerPeer does not apply; nil: none is
	ProxyProtocol bool                  // connections of trusted proxies begin with a PROXY header

	Sockets *handover.Sockets // has the inherited listeners; nil: there are none
	TLS     *tls.Config       // nil: without TLS. First covers the handshake, too
}

const (
	// tick is the resolution of the time limits of a Config.
	tick = time.Second
	// reportTicks is the number of ticks between two reports of bounds that act.
	reportTicks = 10
)

// Listener is a listener with bounded connections. It deals in TCP
// connections, not in the net.Conn interface, because the HTTP server needs
// more than that: closing the writing side alone, and sending from files.
//
// A new connection without a free place replaces the one
// that has been idle longest. If all are busy, it waits.
type Listener struct {
	*net.TCPListener                    // immutable
	cfg              Config             // immutable
	freed            chan struct{}      // signals that a connection in lobby may get a place
	closing          context.Context    // immutable
	beginClosing     context.CancelFunc // immutable
	ticks            atomic.Int64       // atomic; the clock; starts at 1
	waiting          atomic.Bool        // atomic; lobby is not empty

	mu       sync.Mutex
	open     map[*conn]struct{} // guarded by mu, like all below
	peers    map[netip.Addr]int // open connections per peer
	lobby    []*conn            // accepted connections without a place; at most lobbyPlaces
	woken    bool               // the deadline of AcceptTCP was set to the past, so that Accept checks lobby
	victims  []victim           // the oldest idle connections at the last search
	serials  uint64             // serial of the last connection that got a place
	acts     acts               // since Listen
	told     acts               // part of acts that was reported
	reported int64              // tick of the last report of evictions and refusals

	malformedLast     string        // peer and error of the last connection without a valid PROXY header
	reportedMalformed int64         // tick of the last report of them
	failedLast        string        // peer and error of the last handshake that failed
	reportedFailed    int64         // tick of the last report of them
	emptied           chan struct{} // closed when no connection is open; nil if no caller waits
}

// acts counts how often the listener has closed connections by itself.
type acts struct {
	evictions uint64 // idle ones, to make room
	refusals  uint64 // of peers with PerPeer connections
	malformed uint64 // without a valid PROXY header
	failed    uint64 // TLS handshakes that failed
}

// Stats is a snapshot of a listener's connections.
type Stats struct {
	Open      int    // connections with a place
	Waiting   int    // accepted connections without a place
	Admitted  uint64 // connections that got a place since Listen
	Evicted   uint64 // idle connections closed to make room since Listen
	Refused   uint64 // connections beyond Config.PerPeer since Listen
	Malformed uint64 // connections without a valid PROXY header since Listen
	Failed    uint64 // TLS handshakes that failed since Listen
}

// Flag returns Config.Flag.
func (l *Listener) Flag() string { return l.cfg.Flag }

// Stats returns the current state.
func (l *Listener) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{
		Open:      len(l.open),
		Waiting:   len(l.lobby),
		Admitted:  l.serials,
		Evicted:   l.acts.evictions,
		Refused:   l.acts.refusals,
		Malformed: l.acts.malformed,
		Failed:    l.acts.failed,
	}
}

// Listen opens the listener. Its Addr has the actual port. Time limits apply only once Watch runs.
func Listen(ctx context.Context, address string, cfg Config) (*Listener, error) {
	sockets := cfg.Sockets
	if sockets == nil {
		sockets = handover.New()
	}
	inner, err := sockets.Listen(ctx, strings.TrimPrefix(cfg.Flag, "--"), address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is in use, perhaps by another server: stop that, or choose another address with %s (port 0 takes a free one)", address, cfg.Flag)
	case err != nil:
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	l := &Listener{
		TCPListener: inner,
		cfg:         cfg,
		freed:       make(chan struct{}, 1),
		open:        make(map[*conn]struct{}),
		peers:       make(map[netip.Addr]int),
	}
	l.closing, l.beginClosing = context.WithCancel(context.Background())
	l.ticks.Store(1)
	return l, nil
}

// Accept waits for a connection that gets a place.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, full := l.fromLobby()
		switch {
		case c != nil:
			return l.secured(c), nil
		case full:
			select {
			case <-l.freed:
				continue
			case <-l.closing.Done():
				return nil, net.ErrClosed
			}
		}
		accepted, err := l.AcceptTCP()
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded): // set by wakeLocked
			continue
		default:
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				l.evictOne()
			}
			return nil, err
		}
		c = l.newConn(accepted)
		switch l.place(c) {
		case admitted:
			return l.secured(c), nil
		case waits:
			l.wait(c)
		case refused:
			_ = accepted.Close() // the client gets no other answer
		}
	}
}

// wait adds a connection to the lobby.
func (l *Listener) wait(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing.Err() != nil {
		_ = c.TCPConn.Close() // nothing was read from it
		return
	}
	l.lobby = append(l.lobby, c)
	l.waiting.Store(true)
}

// Close makes Accept return. Open connections stay open, those in the lobby are closed.
func (l *Listener) Close() error {
	l.beginClosing()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.lobby {
		_ = c.TCPConn.Close() // nothing was read from it
	}
	l.lobby = nil
	l.waiting.Store(false)
	return l.TCPListener.Close()
}

// Linger returns when no connection is open or ctx ends.
func (l *Listener) Linger(ctx context.Context) {
	emptied := make(chan struct{})
	l.mu.Lock()
	if l.emptied = emptied; len(l.open) == 0 {
		close(emptied)
		l.emptied = nil
	}
	l.mu.Unlock()
	select {
	case <-emptied:
	case <-ctx.Done():
	}
}

// idlePoll is the time between two looks of AwaitIdle.
const idlePoll = 10 * time.Millisecond

// AwaitIdle returns when no connection has a request in progress, or ctx ends. Hijacked connections do not count.
func (l *Listener) AwaitIdle(ctx context.Context) {
	ticker := time.NewTicker(idlePoll)
	defer ticker.Stop()
	for l.busy() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// busy reports whether a connection has a request in progress.
func (l *Listener) busy() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.open {
		if c.idleSince.Load() == 0 && !c.given.Load() {
			return true
		}
	}
	return false
}

// ConnState is the ConnState hook of the HTTP server. It tracks which connections are idle.
func (l *Listener) ConnState(c net.Conn, state http.ConnState) {
	own := inner(c)
	if own == nil {
		return
	}
	switch state {
	case http.StateClosed:
		l.noteHandshake(c)
	case http.StateIdle: // lasts until the next header is complete
		own.served.Store(true)
		own.idleSince.Store(l.ticks.Load())
		if l.waiting.Load() {
			l.mu.Lock()
			l.wakeLocked()
			l.mu.Unlock()
		}
	case http.StateActive:
		own.idleSince.Store(0)
	case http.StateHijacked: // its owner sets its deadlines
		own.given.Store(true)
	}
}

// Watch enforces the limits on idle connections and on writes until ctx ends.
func (l *Listener) Watch(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			l.look()
		case <-ctx.Done():
			return
		}
	}
}

// look advances the clock and checks all connections. It sets an expired deadline rather than
// closing the connection: the owner gets an error from the call that waits, if any, and closes it.
func (l *Listener) look() {
	now := l.ticks.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reportLocked(now)
	l.reportMalformedLocked(now)
	l.reportFailedLocked(now)
	if len(l.lobby) > 0 {
		l.wakeLocked()
	}
	for c := range l.open {
		patience := l.cfg.First
		if c.served.Load() {
			patience = l.cfg.Idle
		}
		if over(c.idleSince.Load(), now, patience) {
			_ = c.SetReadDeadline(time.Unix(1, 0)) // fails only if it is closed
		}
		if over(c.writingSince.Load(), now, l.cfg.Write) && !c.given.Load() {
			_ = c.SetWriteDeadline(time.Unix(1, 0))
		}
	}
}

// reportLocked logs how often the bounds acted, at most every reportTicks.
func (l *Listener) reportLocked(now int64) {
	evictions, refusals := l.acts.evictions-l.told.evictions, l.acts.refusals-l.told.refusals
	if evictions+refusals == 0 || now-l.reported < reportTicks || l.cfg.Log == nil {
		return
	}
	l.cfg.Log.Warn("the bound of connections acts", "open", len(l.open), "bound", l.cfg.MaxConnections,
		"idle_closed", evictions, "refused", refusals, "bound_of_one_address", l.cfg.PerPeer)
	l.told.evictions, l.told.refusals, l.reported = l.acts.evictions, l.acts.refusals, now
}

// over reports whether more than limit has passed since a tick; since is 0 if nothing has begun.
func over(since, now int64, limit time.Duration) bool {
	return since > 0 && time.Duration(now-since)*tick > limit
}
