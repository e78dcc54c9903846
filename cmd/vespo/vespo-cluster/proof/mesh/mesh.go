// Package mesh is the network between processes of a test: a proxy in front of each, which knows the process at the other
// end of a connection, and holds, refuses, delays or slows what passes between the two.
package mesh

import (
	"net"
	"sync"
	"time"
)

// Rule is what happens to connections. The zero Rule lets them pass.
type Rule struct {
	Hold           bool          // nothing passes; connections stay open
	Refuse         bool          // connections are broken, and new ones too
	Delay          time.Duration // of each part of at most 32 KiB, in each direction
	BytesPerSecond int           // of each connection and direction; 0: no bound
}

// Between selects connections by the names of the node that made them, and of the one that they lead to. The name of a
// process that the mesh does not know is empty.
type Between func(from, to string) bool

// With selects all connections of a node.
func With(node string) Between {
	return func(from, to string) bool { return from == node || to == node }
}

// setting is a rule for some connections.
type setting struct {
	between Between
	rule    Rule
}

// Mesh is a network. It is safe for concurrent use.
type Mesh struct {
	running sync.WaitGroup

	mu        sync.Mutex
	closed    bool           // guarded by mu
	listeners []net.Listener // guarded by mu
	pids      map[string]int // guarded by mu: of each node
	settings  []setting      // guarded by mu
	changed   chan struct{}  // guarded by mu: closed, and made anew, with the settings
	links     map[*link]bool // guarded by mu
	acts      Stats          // guarded by mu
}

// New returns a mesh that lets everything pass.
func New() *Mesh {
	return &Mesh{pids: make(map[string]int), changed: make(chan struct{}), links: make(map[*link]bool)}
}

// Link returns the address of a new proxy in front of a node.
func (m *Mesh) Link(node, address string) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.listeners = append(m.listeners, l)
	m.running.Go(func() { m.serve(l, node, address) })
	return l.Addr().String(), nil
}

// Stats counts what rules have done.
type Stats struct {
	Held    uint64 // parts of the data
	Refused uint64 // connections, new and broken ones
	Slowed  uint64 // parts of the data
}

// Stats returns the counts since New.
func (m *Mesh) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.acts
}

// count adds to the counts.
func (m *Mesh) count(add func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	add(&m.acts)
}

// Is makes the process of a node known.
func (m *Mesh) Is(node string, pid int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pids[node] = pid
}

// Set adds a rule. Of several that apply, the first holds.
func (m *Mesh) Set(between Between, r Rule) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings = append(m.settings, setting{between, r})
	m.changeLocked()
	if r.Refuse {
		m.breakLocked(between)
	}
}

// Heal takes all rules back.
func (m *Mesh) Heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings = nil
	m.changeLocked()
}

// Break closes connections. What is on its way is lost.
func (m *Mesh) Break(between Between) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.breakLocked(between)
}

// Close closes all connections and waits for their ends.
func (m *Mesh) Close() {
	m.mu.Lock()
	m.closed = true
	for _, l := range m.listeners {
		_ = l.Close()
	}
	m.settings = nil
	m.changeLocked()
	m.breakLocked(func(string, string) bool { return true })
	m.mu.Unlock()
	m.running.Wait()
}

func (m *Mesh) changeLocked() {
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *Mesh) breakLocked(between Between) {
	for l := range m.links {
		if between(l.from, l.to) {
			m.acts.Refused++
			l.close()
		}
	}
}

// rule returns the rule of a connection, and a channel that is closed when it may have changed.
func (m *Mesh) rule(from, to string) (Rule, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.settings {
		if s.between(from, to) {
			return s.rule, m.changed
		}
	}
	return Rule{}, m.changed
}

// nodeOf returns the name of the node that has made a connection.
func (m *Mesh) nodeOf(peer net.Addr) string {
	m.mu.Lock()
	pids := make(map[string]int, len(m.pids))
	for node, pid := range m.pids {
		pids[node] = pid
	}
	m.mu.Unlock()
	inode := socketOf(peer.(*net.TCPAddr).Port)
	if inode == "" {
		return ""
	}
	for node, pid := range pids {
		if owns(pid, inode) {
			return node
		}
	}
	return ""
}
