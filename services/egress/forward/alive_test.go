package forward_test

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
)

// link passes bytes to a host until it is frozen. Then it accepts connections and bytes, as the kernel does for a process that is
// stopped, and passes nothing on.
type link struct {
	net.Listener
	to     string
	mu     sync.Mutex
	frozen bool       // guarded by mu
	conns  []net.Conn // guarded by mu
	all    sync.WaitGroup
}

func linkTo(h *host) *link {
	h.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(h.t, err)
	k := &link{Listener: l, to: h.peers.Listener.Addr().String()}
	k.all.Go(k.run)
	h.t.Cleanup(func() {
		_ = l.Close()
		k.mu.Lock()
		for _, c := range k.conns {
			_ = c.Close()
		}
		k.mu.Unlock()
		k.all.Wait()
	})
	return k
}

func (k *link) run() {
	for {
		from, err := k.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", k.to)
		if err != nil {
			_ = from.Close()
			continue
		}
		k.mu.Lock()
		k.conns = append(k.conns, from, to)
		k.mu.Unlock()
		k.all.Go(func() { k.pass(from, to) })
		k.all.Go(func() { k.pass(to, from) })
	}
}

func (k *link) pass(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		switch {
		case k.isFrozen():
			if err != nil {
				return
			}
		case err != nil:
			_ = to.Close()
			return
		default:
			_, _ = to.Write(buf[:n]) // the other direction reads that it is closed
		}
	}
}

func (k *link) freeze() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.frozen = true
}

func (k *link) isFrozen() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.frozen
}

// TestStoppedHolders stops one of two holders while it serves requests, whose time limit is an hour. They fail, and others are served
// by the other holder.
func TestStoppedHolders(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 2)
	a, c := newHost(t, "a", nil), newHost(t, "c", nil)
	b := newHost(t, "b", func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		if r.Rest == "/slow" {
			begun <- struct{}{}
			<-r.Context().Done()
		}
		return nil
	})
	for _, h := range []*host{b, c} {
		h.Receiver().HoldBy(heldBy(func() bool { return true }))
	}
	k := linkTo(b)
	stopped := b.behind(k.Addr().String(), token)
	a.place(time.Hour, stopped)
	var waiting sync.WaitGroup
	for _, body := range []string{"", "hello"} {
		waiting.Go(func() {
			resp, text := a.do(a.request("POST", "/a/slow", body))
			assert.Equal(t, http.StatusBadGateway, resp.StatusCode, text)
			assert.Contains(t, text, "problems/bad-gateway")
		})
	}
	<-begun
	<-begun
	k.freeze()
	waiting.Wait()
	require.EqualValues(t, 2, a.Stats().Failed)

	a.place(time.Hour, stopped, c.at(token))
	for range 4 {
		require.Equal(t, "c", a.servedBy("/a"))
	}
	a.place(time.Hour, b.behind(k.Addr().String(), token))
	resp, text := a.do(a.request("POST", "/a", "hello"))
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode)
	require.Contains(t, text, "no host of this service can be reached")
}

// TestSlowHolders lets a request wait for a holder that lives, also after it has closed its listener.
func TestSlowHolders(t *testing.T) {
	t.Parallel()
	begun, done := make(chan struct{}), make(chan struct{})
	a, b := newHost(t, "a", nil), newHost(t, "b", func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
		close(begun)
		<-done
		_, err := io.Copy(w, r.Body)
		return err
	})
	b.Receiver().HoldBy(heldBy(func() bool { return true }))
	a.place(time.Hour, b.at(token))
	var waiting sync.WaitGroup
	defer waiting.Wait()
	waiting.Go(func() {
		resp, text := a.do(a.request("POST", "/a", "hello"))
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, "hello", text)
	})
	<-begun
	for range 2 {
		<-b.pinged
	}
	require.NoError(t, b.peers.Listener.Close())
	<-time.After(3 * time.Second) // more questions, which are refused
	close(done)
}
