package main

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy is the network between a host and etcd.
type proxy struct {
	listener net.Listener
	target   string
	all      sync.WaitGroup

	mu    sync.Mutex
	cut   bool          // guarded by mu: nothing passes, and connections stay open
	delay time.Duration // guarded by mu: of each part of the data
	conns []net.Conn    // guarded by mu
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: l, target: target}
	p.all.Go(p.serve)
	t.Cleanup(func() {
		_ = l.Close()
		p.set(false, 0)
		p.drop()
		p.all.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) serve() {
	for {
		from, err := p.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = from.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, from, to)
		p.mu.Unlock()
		p.all.Go(func() { p.pass(from, to) })
		p.all.Go(func() { p.pass(to, from) })
	}
}

// pass copies data in one direction, within the rules of the moment.
func (p *proxy) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	part := make([]byte, 32<<10)
	for {
		n, err := from.Read(part)
		for {
			p.mu.Lock()
			cut, delay := p.cut, p.delay
			p.mu.Unlock()
			if !cut {
				<-time.After(delay)
				break
			}
			<-time.After(10 * time.Millisecond)
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

// set sets the rules.
func (p *proxy) set(cut bool, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.delay = cut, delay
}

// drop breaks all connections. Answers on their way are lost.
func (p *proxy) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}
