package enginetest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Proxy forwards connections to an engine, and can cut them.
type Proxy struct {
	Address string // host:port

	to       string
	listener net.Listener
	drops    atomic.Bool
	rate     atomic.Int64
	group    sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // guarded by mu
	ended bool              // guarded by mu
}

// StartProxy starts a proxy for the engine at an address. It ends with the test.
func StartProxy(t testing.TB, to string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{Address: l.Addr().String(), to: to, listener: l, conns: make(map[net.Conn]bool)}
	p.group.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.mu.Lock()
		p.ended = true
		p.mu.Unlock()
		p.Cut()
		p.group.Wait()
	})
	return p
}

// DropReplies makes the proxy forward requests, and cut the connection when a reply comes.
func (p *Proxy) DropReplies(drop bool) { p.drops.Store(drop) }

// Slow lets each connection carry at most so many bytes of replies per second; 0: as many as it can.
func (p *Proxy) Slow(bytesPerSecond int) { p.rate.Store(int64(bytesPerSecond)) }

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.to)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.group.Go(func() {
			defer p.keep(client, server)()
			_, _ = io.Copy(server, client) // either end may be closed
		})
		p.group.Go(func() {
			defer p.keep(client, server)()
			p.reply(client, server)
		})
	}
}

// keep remembers connections until its result is called, which closes them.
func (p *Proxy) keep(conns ...net.Conn) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
		if p.ended {
			_ = c.Close()
		}
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range conns {
			delete(p.conns, c)
			_ = c.Close()
		}
	}
}

// steps is how often a slow connection carries something in a second.
const steps = 50

func (p *Proxy) reply(client, server net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		size := len(buffer)
		if rate := p.rate.Load(); rate > 0 {
			size = min(size, max(1, int(rate)/steps))
			<-time.After(time.Second / steps)
		}
		n, err := server.Read(buffer[:size])
		if err != nil || p.drops.Load() {
			return
		}
		if _, err := client.Write(buffer[:n]); err != nil {
			return
		}
	}
}
