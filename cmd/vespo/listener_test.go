package main

import (
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListenerBoundsConnections(t *testing.T) {
	const bound, clients, rounds = 3, 16, 20
	l, err := listen(t.Context(), "127.0.0.1:0", bound)
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
	owned.Go(func() { _ = srv.Serve(l) })
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
	// The server tells of a closed connection after it has closed it, so a newcomer may be counted beside each.
	require.LessOrEqual(t, most.Load(), int32(2*bound))
	require.NoError(t, srv.Shutdown(t.Context()))
	owned.Wait()
	require.Empty(t, l.places)
}

func TestListenerGivesEachPlaceBackOnce(t *testing.T) {
	l, err := listen(t.Context(), "127.0.0.1:0", 1)
	require.NoError(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	conn, err := l.Accept()
	require.NoError(t, err)
	require.Len(t, l.places, 1)
	require.NoError(t, conn.Close())
	require.Error(t, conn.Close())
	require.Empty(t, l.places)
}

func TestListenerCloseEndsAcceptThatWaits(t *testing.T) {
	l, err := listen(t.Context(), "127.0.0.1:0", 1)
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

// The HTTP server closes the writing side alone before it closes a connection on which a body was left unread; otherwise the
// client could lose the answer.
func TestListenerKeepsCloseWrite(t *testing.T) {
	l, err := listen(t.Context(), "127.0.0.1:0", 1)
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
