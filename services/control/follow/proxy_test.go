package follow_test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// network forwards connections to a host, and damages what that sends.
type network struct {
	listener net.Listener
	target   atomic.Value // string: address of the host; "": nobody answers
	all      sync.WaitGroup

	mu    sync.Mutex
	rand  *rand.Rand            // guarded by mu
	harm  int                   // guarded by mu: percentage of the connections with a fault
	conns map[net.Conn]struct{} // guarded by mu
}

func newNetwork(t testing.TB, seed uint64) *network {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &network{listener: l, rand: rand.New(rand.NewPCG(seed, 9)), conns: make(map[net.Conn]struct{})}
	n.target.Store("")
	n.all.Go(n.accept)
	return n
}

func (n *network) url() string { return "http://" + n.listener.Addr().String() }

func (n *network) setHarm(percent int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.harm = percent
}

// cut closes all connections.
func (n *network) cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		_ = c.Close()
	}
}

func (n *network) close() {
	_ = n.listener.Close()
	n.cut()
	n.all.Wait()
}

func (n *network) accept() {
	for {
		c, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.all.Go(func() { n.serve(c) })
	}
}

// fault is what happens to the bytes of a connection; -1: nothing.
type fault struct {
	cutAt, flipAt int
	delay         time.Duration
}

func (n *network) fault() fault {
	n.mu.Lock()
	defer n.mu.Unlock()
	f := fault{cutAt: -1, flipAt: -1}
	if n.rand.IntN(100) >= n.harm {
		return f
	}
	switch n.rand.IntN(4) {
	case 0:
		f.cutAt = n.rand.IntN(3000)
	case 1:
		f.cutAt = n.rand.IntN(100_000)
	case 2:
		f.flipAt = n.rand.IntN(20_000)
	default:
		f.delay = time.Duration(n.rand.IntN(20)) * time.Millisecond
	}
	return f
}

func (n *network) hold(c net.Conn) (release func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conns[c] = struct{}{}
	return func() {
		_ = c.Close()
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.conns, c)
	}
}

func (n *network) serve(c net.Conn) {
	defer n.hold(c)()
	target := n.target.Load().(string)
	if target == "" {
		return
	}
	up, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer n.hold(up)()
	n.all.Go(func() {
		_, _ = io.Copy(up, c)
		_ = up.Close()
	})
	f, sent := n.fault(), 0
	buf := make([]byte, 4096)
	for {
		k, err := up.Read(buf)
		part := buf[:k]
		if f.flipAt >= sent && f.flipAt < sent+k {
			part[f.flipAt-sent] ^= 1
		}
		if f.cutAt >= 0 && sent+k > f.cutAt {
			part = part[:max(0, f.cutAt-sent)]
			err = io.EOF
		}
		if f.delay > 0 {
			<-time.After(f.delay)
		}
		sent += k
		if _, writeErr := c.Write(part); err != nil || writeErr != nil {
			return
		}
	}
}
