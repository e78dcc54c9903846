package conns

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane/lanetest"
	"github.com/vespo-dev/vespo/router/forwarded"
)

// serving is the kind of server that tests start.
var serving lanetest.Kind

// TestMain runs all tests on net/http, and with the fast lane in front of it.
func TestMain(m *testing.M) {
	os.Exit(lanetest.Main(m, func(kind lanetest.Kind) { serving = kind }))
}

// served is an HTTP server on a Listener. Requests for /wait are answered when release is closed.
type served struct {
	*Listener
	begun   chan struct{}
	release chan struct{}
}

func serve(t *testing.T, cfg Config) *served {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0", cfg)
	require.NoError(t, err)
	s := &served{Listener: l, begun: make(chan struct{}, 100), release: make(chan struct{})}
	srv := &http.Server{
		ConnState: l.ConnState,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/wait" {
				s.begun <- struct{}{}
				<-s.release
			}
			_, _ = io.WriteString(w, "ok")
		}),
	}
	var owned sync.WaitGroup
	both := serving.New(srv)
	owned.Go(func() { _ = both.Serve(l) })
	t.Cleanup(func() {
		both.Close()
		owned.Wait()
	})
	return s
}

// dial opens a connection and sends text.
func (s *served) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(c, text)
	require.NoError(t, err)
	return c
}

// answered requires a response on the connection.
func answered(t *testing.T, c net.Conn) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "ok", string(body))
}

// openAre waits until this many connections are open.
func (s *served) openAre(t *testing.T, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.open) == want
	}, time.Minute, time.Millisecond)
}

// idleAre waits until the number of idle connections is want.
func (s *served) idleAre(t *testing.T, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		idle := 0
		for c := range s.open {
			if c.idleSince.Load() > 0 {
				idle++
			}
		}
		return idle == want
	}, time.Minute, time.Millisecond)
}

const request, waitRequest = "GET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"

// TestIdleConnectionsMakeRoom checks that connections that send nothing, half a
// header, or no further request make room for those with a request, the oldest first.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	const bound = 8
	s := serve(t, Config{MaxConnections: bound, First: time.Hour, Idle: time.Hour})
	var idle []net.Conn
	for _, text := range []string{"", "GET / HTTP/1.1\r\nHo", request} {
		c := s.dial(t, text)
		if text == request {
			answered(t, c)
		}
		idle = append(idle, c)
		s.openAre(t, len(idle))
		s.idleAre(t, len(idle)) // the server notes it after the response was sent
	}
	for len(idle) < bound {
		idle = append(idle, s.dial(t, ""))
		s.openAre(t, len(idle))
		s.look() // a tick, which orders the connections
	}
	for _, oldest := range idle {
		s.dial(t, waitRequest)
		<-s.begun
		_, err := io.Copy(io.Discard, oldest)
		require.NoError(t, err, "it was closed")
	}
	s.openAre(t, bound)
	// All are busy: new connections wait, and are served when a request ends.
	late := s.dial(t, request)
	require.Eventually(t, s.waiting.Load, time.Minute, time.Millisecond)
	close(s.release)
	answered(t, late)
}

// TestSilentFlood checks that a flood of silent connections does not keep a client from its response.
func TestSilentFlood(t *testing.T) {
	const bound, flood = 32, 256
	s := serve(t, Config{MaxConnections: bound, First: time.Hour, Idle: time.Hour})
	for range flood {
		s.dial(t, "")
		answered(t, s.dial(t, request))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	require.LessOrEqual(t, len(s.open), bound)
}

// remote marks c as a connection from another machine.
func remote(c *conn, peer string) *conn {
	c.peer, c.local = forwarded.Site(netip.MustParseAddr(peer)), false
	return c
}

func pair(t *testing.T, l *Listener) *conn {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	accepted, err := l.AcceptTCP()
	require.NoError(t, err)
	c := l.newConn(accepted)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestPlacesOfOneAddress(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 8, PerPeer: 2, First: time.Hour})
	require.NoError(t, err)
	defer l.Close()
	first := remote(pair(t, l), "2001:db8::1")
	require.Equal(t, admitted, l.place(first))
	require.Equal(t, admitted, l.place(remote(pair(t, l), "2001:db8::2")))
	third := remote(pair(t, l), "2001:db8::3")
	require.Equal(t, refused, l.place(third), "all of a /64 are one")
	require.Equal(t, Stats{Open: 2, Admitted: 2, Refused: 1}, l.Stats())
	require.Equal(t, admitted, l.place(remote(pair(t, l), "2001:db8:0:1::1")))
	for range 3 {
		require.Equal(t, admitted, l.place(pair(t, l)), "this machine may be a proxy for many")
	}
	require.NoError(t, first.Close())
	require.Equal(t, admitted, l.place(third))
}

func TestPlacesOfThisMachine(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 4, Reserved: 2, First: time.Hour})
	require.NoError(t, err)
	defer l.Close()
	var busy []*conn
	for range 2 {
		c := remote(pair(t, l), "192.0.2.1")
		require.Equal(t, admitted, l.place(c))
		c.idleSince.Store(0)
		busy = append(busy, c)
	}
	require.Equal(t, waits, l.place(remote(pair(t, l), "192.0.2.2")))
	local := pair(t, l)
	require.Equal(t, admitted, l.place(local))
	require.Equal(t, waits, l.place(remote(pair(t, l), "192.0.2.2")), "an idle connection of this machine stays")
	busy[1].idleSince.Store(1)
	for range 2 {
		require.Equal(t, admitted, l.place(pair(t, l)))
	}
	require.NotContains(t, l.open, busy[1], "connections of other machines make room first")
	require.Contains(t, l.open, local)
}
