//go:build linux

package sockio

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair returns the two ends of a connection over TCP.
func pair(t testing.TB) (own, peer *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	accepted, err := l.Accept()
	require.NoError(t, err)
	own, peer = accepted.(*net.TCPConn), dialed.(*net.TCPConn)
	t.Cleanup(func() { own.Close(); peer.Close() })
	return own, peer
}

// both runs a test with a connection of package net and with one of this package.
func both(t *testing.T, test func(t *testing.T, own net.Conn, peer *net.TCPConn)) {
	t.Helper()
	t.Run("net", func(t *testing.T) {
		own, peer := pair(t)
		test(t, own, peer)
	})
	t.Run("sockio", func(t *testing.T) {
		own, peer := pair(t)
		c := open(own)
		require.NotNil(t, c.raw)
		test(t, c, peer)
	})
}

func TestReadsAndWrites(t *testing.T) {
	both(t, func(t *testing.T, own net.Conn, peer *net.TCPConn) {
		for _, size := range []int{0, 1, 4096, smallBytes, smallBytes + 1, 1 << 20} {
			sent := make([]byte, size)
			_, err := rand.Read(sent)
			require.NoError(t, err)
			var work sync.WaitGroup
			work.Go(func() {
				n, err := own.Write(sent)
				require.NoError(t, err)
				require.Equal(t, size, n)
			})
			got := make([]byte, size)
			_, err = io.ReadFull(peer, got)
			require.NoError(t, err)
			work.Wait()
			require.True(t, bytes.Equal(sent, got), size)

			work.Go(func() {
				_, err := peer.Write(sent)
				require.NoError(t, err)
			})
			clear(got)
			_, err = io.ReadFull(own, got)
			require.NoError(t, err)
			work.Wait()
			require.True(t, bytes.Equal(sent, got), size)
		}
		n, err := own.Read(nil)
		require.NoError(t, err)
		require.Zero(t, n)
		require.NoError(t, peer.CloseWrite())
		for range 2 {
			n, err = own.Read(make([]byte, 8))
			require.Equal(t, io.EOF, err)
			require.Zero(t, n)
		}
		_, err = own.Write([]byte("half open"))
		require.NoError(t, err)
	})
}

// TestErrorsAreThoseOfNet compares the texts of errors, without the ports.
func TestErrorsAreThoseOfNet(t *testing.T) {
	texts := map[string][]string{}
	both(t, func(t *testing.T, own net.Conn, peer *net.TCPConn) {
		note := func(err error) {
			t.Helper()
			var op *net.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, own.LocalAddr(), op.Source)
			require.Equal(t, own.RemoteAddr(), op.Addr)
			op.Source, op.Addr = nil, nil
			texts[op.Error()] = append(texts[op.Error()], t.Name())
		}
		b := make([]byte, 8)
		require.NoError(t, own.SetDeadline(time.Unix(1, 0)))
		_, err := own.Read(b)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		var timed net.Error
		require.True(t, errors.As(err, &timed) && timed.Timeout())
		note(err)
		_, err = own.Write(b)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		note(err)
		require.NoError(t, own.SetDeadline(time.Time{}))

		require.NoError(t, peer.SetLinger(0))
		require.NoError(t, peer.Close()) // resets
		_, err = own.Read(b)
		require.ErrorIs(t, err, syscall.ECONNRESET)
		note(err)
		_, err = own.Write(b)
		require.ErrorIs(t, err, syscall.EPIPE)
		note(err)
		require.NoError(t, own.Close())
		_, err = own.Read(b)
		require.ErrorIs(t, err, net.ErrClosed)
		note(err)
		_, err = own.Write(b)
		require.ErrorIs(t, err, net.ErrClosed)
		note(err)
	})
	require.Len(t, texts, 6)
	for text, by := range texts {
		require.Len(t, by, 2, text)
	}
}

func TestWaitsEnd(t *testing.T) {
	for name, end := range map[string]func(net.Conn) error{
		"deadline": func(c net.Conn) error { return c.SetDeadline(time.Unix(1, 0)) },
		"close":    net.Conn.Close,
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, own net.Conn, peer *net.TCPConn) {
				read, wrote := make(chan error, 1), make(chan error, 1)
				go func() {
					_, err := own.Read(make([]byte, 8))
					read <- err
				}()
				full := make(chan int, 1)
				go func() { // until the peer's window and all buffers are full
					total, piece := 0, make([]byte, smallBytes)
					for {
						n, err := own.Write(piece)
						if total += n; err != nil {
							full <- total
							wrote <- err
							return
						}
					}
				}()
				require.Eventually(t, func() bool { return queued(t, own) }, time.Minute, time.Millisecond)
				require.NoError(t, end(own))
				require.Error(t, <-read)
				require.Error(t, <-wrote)
				if name == "close" {
					return
				}
				require.NoError(t, own.Close())
				got, err := io.Copy(io.Discard, peer)
				require.NoError(t, err)
				require.EqualValues(t, <-full, got, "a write that was ended returns what it has written")
			})
		})
	}
}

// queued reports whether the send queue of a connection takes no more.
func queued(t *testing.T, c net.Conn) bool {
	raw, err := c.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	full := false
	require.NoError(t, raw.Control(func(fd uintptr) {
		_, err := syscall.Write(int(fd), nil)
		require.NoError(t, err)
		full = !writable(int(fd))
	}))
	return full
}

// TestWritesDoNotMix writes from several goroutines to a peer that reads slowly.
func TestWritesDoNotMix(t *testing.T) {
	both(t, func(t *testing.T, own net.Conn, peer *net.TCPConn) {
		require.NoError(t, own.(interface{ SetWriteBuffer(int) error }).SetWriteBuffer(smallBytes)) // takes a part of a write
		const writers, each = 4, 50
		var work sync.WaitGroup
		for w := range writers {
			work.Go(func() {
				for range each {
					_, err := own.Write(bytes.Repeat([]byte{byte(w)}, smallBytes))
					require.NoError(t, err)
				}
			})
		}
		block := make([]byte, smallBytes)
		for range writers * each {
			_, err := io.ReadFull(peer, block)
			require.NoError(t, err)
			require.Equal(t, smallBytes, bytes.Count(block, block[:1]))
		}
		work.Wait()
	})
}

func TestServesHTTP(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	s.Listener = listener{s.Listener}
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	for range 20 {
		sent := make([]byte, 100<<10)
		_, _ = rand.Read(sent)
		resp, err := s.Client().Post(s.URL, "text/plain", bytes.NewReader(sent))
		require.NoError(t, err)
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.True(t, bytes.Equal(sent, got))
	}
}

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return open(c.(*net.TCPConn)), nil
}

func TestTransfersAllocateNothing(t *testing.T) {
	own, peer := pair(t)
	c := open(own)
	b := make([]byte, 64)
	n := testing.AllocsPerRun(100, func() {
		_, err := c.Write(b)
		require.NoError(t, err)
		_, err = io.ReadFull(peer, b)
		require.NoError(t, err)
		_, err = peer.Write(b)
		require.NoError(t, err)
		_, err = io.ReadFull(c, b)
		require.NoError(t, err)
	})
	require.Zero(t, n)
}

func TestAClosedConnection(t *testing.T) {
	own, _ := pair(t)
	require.NoError(t, own.Close())
	_, err := open(own).Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
}
