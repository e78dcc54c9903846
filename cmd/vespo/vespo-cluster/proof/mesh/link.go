package mesh

import (
	"net"
	"time"
)

// partBytes is how much passes at a time.
const partBytes = 32 << 10

// link is one connection through the mesh.
type link struct {
	from, to     string
	client, node net.Conn
	ended        chan struct{} // closed by close
}

// close is called with mu of the mesh held, once.
func (l *link) close() {
	select {
	case <-l.ended:
	default:
		close(l.ended)
	}
	_ = l.client.Close()
	_ = l.node.Close()
}

// serve accepts connections to a node.
func (m *Mesh) serve(l net.Listener, node, address string) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		m.running.Go(func() { m.connect(client, node, address) })
	}
}

// connect passes what two ends of a connection send, until one of them ends.
func (m *Mesh) connect(client net.Conn, node, address string) {
	l := &link{from: m.nodeOf(client.RemoteAddr()), to: node, client: client, ended: make(chan struct{})}
	var err error
	if rule, _ := m.rule(l.from, l.to); rule.Refuse {
		m.count(func(s *Stats) { s.Refused++ })
		_ = client.Close()
		return
	}
	if l.node, err = net.Dial("tcp", address); err != nil {
		_ = client.Close()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		l.close()
		return
	}
	m.links[l] = true
	m.running.Go(func() { m.pass(l, l.client, l.node) })
	m.running.Go(func() { m.pass(l, l.node, l.client) })
}

// pass copies one direction of a connection within the rules.
func (m *Mesh) pass(l *link, from, to net.Conn) {
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		l.close()
		delete(m.links, l)
	}()
	part := make([]byte, partBytes)
	for {
		n, err := from.Read(part)
		if !m.wait(l, n) {
			return
		}
		if n > 0 {
			if _, err := to.Write(part[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait waits until some bytes may pass. It reports whether the connection goes on.
func (m *Mesh) wait(l *link, n int) bool {
	for held := false; ; {
		rule, changed := m.rule(l.from, l.to)
		if rule.Hold {
			if !held {
				held = true
				m.count(func(s *Stats) { s.Held++ })
			}
			select {
			case <-changed:
				continue
			case <-l.ended:
				return false
			}
		}
		pause := rule.Delay
		if rule.BytesPerSecond > 0 {
			pause += time.Duration(n) * time.Second / time.Duration(rule.BytesPerSecond)
		}
		if pause == 0 {
			return true
		}
		m.count(func(s *Stats) { s.Slowed++ })
		select {
		case <-time.After(pause):
			return true
		case <-l.ended:
			return false
		}
	}
}
