package conns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestListenerBoundsConnections(t *testing.T) {
	const bound, clients, rounds = 3, 16, 20
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: bound})
	require.NoError(t, err)
	var open, most atomic.Int32
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }),
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				n := open.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
			case http.StateClosed:
				open.Add(-1)
			}
		},
	}
	srv.SetKeepAlivesEnabled(false)
	var owned sync.WaitGroup
	both := serving.New(srv)
	owned.Go(func() { _ = both.Serve(l) })
	var all sync.WaitGroup
	var answered atomic.Int32
	for range clients {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for range rounds {
				resp, err := client.Get("http://" + l.Addr().String())
				if err == nil && resp.Body.Close() == nil {
					answered.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.EqualValues(t, clients*rounds, answered.Load())
	require.Positive(t, most.Load())
	// The server calls ConnState after closing a connection,
	// so each closed one may be counted beside its successor.
	require.LessOrEqual(t, most.Load(), int32(2*bound))
	require.NoError(t, both.Stop(t.Context()))
	owned.Wait()
	require.Empty(t, l.open)
	require.Empty(t, l.peers)
}

func TestListenerGivesEachPlaceBackOnce(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 1})
	require.NoError(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	conn, err := l.Accept()
	require.NoError(t, err)
	require.Len(t, l.open, 1)
	require.NoError(t, conn.Close())
	require.Error(t, conn.Close())
	require.Empty(t, l.open)
	require.Empty(t, l.peers)
}

func TestListenerCloseEndsAcceptThatWaits(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 1})
	require.NoError(t, err)
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	conn, err := l.Accept()
	require.NoError(t, err)
	defer conn.Close()
	failed := make(chan error)
	go func() {
		_, err := l.Accept()
		failed <- err
	}()
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-failed, net.ErrClosed)
}

// TestListenerKeepsCloseWrite checks that connections have CloseWrite. The HTTP server calls it before
// it closes a connection with an unread body. Without that, the client could lose the response.
func TestListenerKeepsCloseWrite(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 1})
	require.NoError(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	conn, err := l.Accept()
	require.NoError(t, err)
	defer conn.Close()
	half, ok := conn.(interface{ CloseWrite() error })
	require.True(t, ok)
	require.NoError(t, half.CloseWrite())
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
}

// accepted returns both ends of a connection.
func accepted(t *testing.T, l *Listener) (server *conn, client net.Conn) {
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	c, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c.(*conn), client
}

// wait advances the clock by this many ticks.
func wait(l *Listener, ticks int) {
	for range ticks {
		l.look()
	}
}

// expired reports whether a read fails because its deadline
// has passed. Otherwise the read returns data of the client.
func expired(t *testing.T, c *conn, client net.Conn) bool {
	_, err := client.Write([]byte("x"))
	require.NoError(t, err)
	n, err := c.Read(make([]byte, 1))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		n, err = c.Read(make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, 1, n)
		return true
	}
	require.NoError(t, err)
	require.Equal(t, 1, n)
	return false
}

func TestWatchEndsWaitingForRequests(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 1, First: 2 * tick, Idle: 4 * tick, Write: time.Hour})
	require.NoError(t, err)
	defer l.Close()
	c, client := accepted(t, l)
	wait(l, 2)
	require.False(t, expired(t, c, client))
	wait(l, 1)
	require.True(t, expired(t, c, client), "no first request")
	l.ConnState(c, http.StateActive)
	wait(l, 100)
	require.False(t, expired(t, c, client), "a request may take its time")
	l.ConnState(c, http.StateIdle)
	wait(l, 4)
	require.False(t, expired(t, c, client))
	wait(l, 1)
	require.True(t, expired(t, c, client), "no next request")
}

func TestWatchEndsWritesThatWait(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 1, First: time.Hour, Idle: time.Hour, Write: 2 * tick})
	require.NoError(t, err)
	defer l.Close()
	for _, hijacked := range []bool{false, true} {
		c, client := accepted(t, l)
		if hijacked {
			l.ConnState(c, http.StateHijacked)
		}
		failed := make(chan error, 1)
		go func() {
			_, err := c.Write(make([]byte, 64<<20)) // more than the buffers between take
			failed <- err
		}()
		require.Eventually(t, func() bool { return c.writingSince.Load() != 0 }, time.Minute, time.Millisecond)
		wait(l, 100)
		if hijacked {
			require.Empty(t, failed)
			require.NoError(t, client.Close())
			require.Error(t, <-failed)
		} else {
			require.ErrorIs(t, <-failed, os.ErrDeadlineExceeded)
		}
		require.NoError(t, c.Close())
	}
}

// TestWatchLetsSlowClientsTakeTheirTime checks that a client that
// keeps reading is not cut off, however long the whole response takes.
func TestWatchLetsSlowClientsTakeTheirTime(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 2, First: time.Hour, Idle: time.Hour, Write: 40 * tick})
	require.NoError(t, err)
	defer l.Close()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 4<<20)
	for name, send := range map[string]func(c *conn) (int64, error){
		"write": func(c *conn) (int64, error) { n, err := c.Write(sent); return int64(n), err },
		"copy":  func(c *conn) (int64, error) { return c.ReadFrom(bytes.NewReader(sent)) },
		"part": func(c *conn) (int64, error) {
			return c.ReadFrom(io.LimitReader(io.MultiReader(bytes.NewReader(sent), strings.NewReader("x")), int64(len(sent))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, client := accepted(t, l)
			// Reads advance the clock, so the buffers bound how far it goes during one piece.
			require.NoError(t, c.SetWriteBuffer(pieceBytes))
			require.NoError(t, client.(*net.TCPConn).SetReadBuffer(pieceBytes))
			result := make(chan error, 1)
			go func() {
				n, err := send(c)
				if n != int64(len(sent)) {
					err = errors.Join(err, fmt.Errorf("%d bytes", n))
				}
				result <- errors.Join(err, c.Close())
			}()
			var got bytes.Buffer
			var err error
			for err == nil && got.Len() < len(sent) {
				_, err = io.CopyN(&got, client, 2*pieceBytes)
				l.look()
			}
			require.NoError(t, err)
			require.NoError(t, <-result)
			require.True(t, bytes.Equal(sent, got.Bytes()))
			require.Zero(t, c.writingSince.Load())
		})
	}
}

func TestWatchTicksUntilItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Listener{}
		ctx, cancel := context.WithTimeout(t.Context(), 10*tick+tick/2)
		defer cancel()
		l.Watch(ctx)
		require.EqualValues(t, 10, l.ticks.Load())
	})
}

// TestWatchedServer runs the HTTP server with three clients: one sends
// half a header, one sends no further request, and one does not read.
func TestWatchedServer(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", Config{MaxConnections: 8, First: 2 * tick, Idle: 2 * tick, Write: 2 * tick})
	require.NoError(t, err)
	broken := make(chan error, 1)
	srv := &http.Server{
		ConnState: l.ConnState,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/endless" {
				var failed error
				for failed == nil {
					_, failed = w.Write(make([]byte, 1<<20))
				}
				broken <- failed
			}
		}),
	}
	var owned sync.WaitGroup
	both := serving.New(srv)
	owned.Go(func() { _ = both.Serve(l) })
	ctx, cancel := context.WithCancel(t.Context())
	owned.Go(func() { // in place of Watch, with faster ticks
		for ticker := time.NewTicker(10 * time.Millisecond); ctx.Err() == nil; <-ticker.C {
			l.look()
		}
	})
	for _, request := range []string{"GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET"} {
		client, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		_, err = io.WriteString(client, request)
		require.NoError(t, err)
		_, err = io.ReadAll(client)
		require.NoError(t, err, "the server ends the connection")
		require.NoError(t, client.Close())
	}
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	_, err = io.WriteString(client, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	require.Error(t, <-broken)
	require.NoError(t, client.Close())
	require.NoError(t, both.Stop(ctx))
	cancel()
	owned.Wait()
	require.Empty(t, l.open)
}
