package conns

import (
	"cmp"
	"net"
	"slices"
	"time"

	"github.com/vespo-dev/vespo/internal/sockio"
	"github.com/vespo-dev/vespo/router/forwarded"
)

const (
	// lobbyPlaces is the number of accepted connections that wait for a place while
	// all open ones are busy. Further ones stay in the kernel's accept queue.
	lobbyPlaces = 16
	// victimBatch is the number of idle connections that one search finds,
	// so that a flood of new connections does not need a search each.
	victimBatch = 64
	// evicted is the idleSince of a connection that was closed to make room.
	evicted = -1
)

// victim is a connection that was idle at the last search.
type victim struct {
	*conn
	since int64
}

// verdict is the decision about a new connection.
type verdict int

const (
	admitted verdict = iota
	waits            // in the lobby, for a place
	refused          // its peer has PerPeer connections
)

// newConn wraps an accepted connection. It has no place yet.
func (l *Listener) newConn(accepted *net.TCPConn) *conn {
	c := &conn{Conn: sockio.New(accepted), ticks: &l.ticks}
	if tcp, ok := accepted.RemoteAddr().(*net.TCPAddr); ok {
		c.peer = forwarded.Site(tcp.AddrPort().Addr())
		c.trusted = l.cfg.Trusted != nil && l.cfg.Trusted(tcp.AddrPort().Addr())
	}
	if c.trusted && l.cfg.ProxyProtocol {
		c.relay = &relay{listener: l}
	}
	c.local = c.peer.IsLoopback()
	c.release = func() { l.forget(c) }
	return c
}

// place tries to give c a place. It closes idle connections if needed.
func (l *Listener) place(c *conn) verdict {
	for {
		v, decision := l.judge(c)
		if v == nil {
			return decision
		}
		_ = v.Close() // the connection is given up in any case
	}
}

// judge decides about c. If it returns a connection, the caller must close that and call judge again.
func (l *Listener) judge(c *conn) (*conn, verdict) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !c.local && !c.trusted && l.cfg.PerPeer > 0 && l.peers[c.peer] >= l.cfg.PerPeer {
		l.acts.refusals++
		return nil, refused
	}
	bound := l.cfg.MaxConnections
	if !c.local {
		bound -= l.cfg.Reserved
	}
	if len(l.open) < bound {
		l.serials++
		c.serial = l.serials
		c.idleSince.Store(l.ticks.Load())
		l.open[c] = struct{}{}
		l.peers[c.peer]++
		return nil, admitted
	}
	return l.evictLocked(c.local), waits
}

// evictLocked marks the connection that has been idle longest as evicted
// and returns it for closing; nil if all are busy. Connections from this
// machine, such as those of a reverse proxy, make room only for each other.
func (l *Listener) evictLocked(local bool) *conn {
	if l.cfg.First == 0 { // the server does not call ConnState, so busy connections look idle
		return nil
	}
	for _, fresh := range [...]bool{false, true} {
		for len(l.victims) > 0 {
			v := l.victims[0]
			if v.local && !(local && fresh) { // others may have become idle since the search
				break
			}
			l.victims = l.victims[1:]
			if _, open := l.open[v.conn]; open && v.idleSince.CompareAndSwap(v.since, evicted) {
				l.acts.evictions++
				return v.conn
			}
		}
		if !fresh {
			l.findVictimsLocked()
		}
	}
	return nil
}

// findVictimsLocked finds the oldest idle connections, those of other machines first.
func (l *Listener) findVictimsLocked() {
	var idle []victim
	for c := range l.open {
		if since := c.idleSince.Load(); since > 0 && !c.given.Load() {
			idle = append(idle, victim{c, since})
		}
	}
	slices.SortFunc(idle, func(a, b victim) int {
		return cmp.Or(compareBool(a.local, b.local), cmp.Compare(a.since, b.since), cmp.Compare(a.serial, b.serial))
	})
	l.victims = slices.Clone(idle[:min(len(idle), victimBatch)])
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// fromLobby returns a connection of the lobby that got a
// place, if any, and reports whether the lobby is full.
func (l *Listener) fromLobby() (c *conn, full bool) {
	l.mu.Lock()
	waiting := slices.Clone(l.lobby)
	if l.woken {
		l.woken = false
		_ = l.SetDeadline(time.Time{}) // fails only if it is closed
	}
	l.mu.Unlock()
	busy := false // no place for other machines
	for _, c := range waiting {
		if busy && !c.local {
			continue
		}
		decision := l.place(c)
		if decision == waits && c.local {
			break // then no other can get a place either
		}
		if decision == waits {
			busy = true
			continue
		}
		l.mu.Lock()
		l.lobby = slices.DeleteFunc(l.lobby, func(other *conn) bool { return other == c })
		l.waiting.Store(len(l.lobby) > 0)
		l.mu.Unlock()
		if decision == admitted {
			return c, false
		}
		_ = c.TCPConn.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return nil, len(l.lobby) >= lobbyPlaces
}

// wakeLocked makes Accept check the lobby.
func (l *Listener) wakeLocked() {
	l.woken = true
	_ = l.SetDeadline(time.Unix(1, 0)) // fails only if it is closed
	select {
	case l.freed <- struct{}{}:
	default: // a wake-up is pending already
	}
}

// evictOne closes an idle connection when the process is out of file descriptors.
func (l *Listener) evictOne() {
	l.mu.Lock()
	v := l.evictLocked(true)
	l.mu.Unlock()
	if v != nil {
		_ = v.Close() // the connection is given up in any case
	}
}

// forget releases the place of a connection, and wakes Accept if another waits for it.
func (l *Listener) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, open := l.open[c]; !open {
		return
	}
	delete(l.open, c)
	if l.peers[c.peer]--; l.peers[c.peer] == 0 {
		delete(l.peers, c.peer)
	}
	if len(l.lobby) > 0 {
		l.wakeLocked()
	}
	if len(l.open) == 0 && l.emptied != nil {
		close(l.emptied)
		l.emptied = nil
	}
}
