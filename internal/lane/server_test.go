package lane_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane"
	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

// ask sends a request and reads its response.
func ask(t *testing.T, conn net.Conn, from *bufio.Reader, path string) *http.Response {
	t.Helper()
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
	resp, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp
}

// TestShutdown stops a server with idle connections, one with a request in progress and one without a request so far.
func TestShutdown(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		t.Parallel()
		began, proceed := make(chan struct{}), make(chan struct{})
		s := kind.Start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				close(began)
				<-proceed
			}
		}))
		unused := dial(t, s.Addr)
		idle, slow := dial(t, s.Addr), dial(t, s.Addr)
		ask(t, idle, bufio.NewReader(idle), "/")
		fmt.Fprint(slow, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
		receive(t, began)

		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.Stop(short), context.DeadlineExceeded)
		_, err := io.ReadAll(idle)
		require.NoError(t, err, "an idle connection is closed at once")
		_, err = net.Dial("tcp", s.Addr)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)

		stopped := make(chan error, 1)
		go func() { stopped <- s.Stop(context.Background()) }()
		close(proceed)
		resp, err := http.ReadResponse(bufio.NewReader(slow), nil)
		require.NoError(t, err, "a request in progress is answered")
		require.True(t, resp.Close)
		_, err = io.ReadAll(unused)
		require.NoError(t, err, "a connection without a request is closed later")
		require.NoError(t, receive(t, stopped))
	})
}

// TestShutdownServesFirstRequests checks that a connection which was just accepted gets its first response.
func TestShutdownServesFirstRequests(t *testing.T) {
	s := lanetest.Lane.Start(t, http.HandlerFunc(describe))
	conn := dial(t, s.Addr)
	require.Eventually(t, func() bool { return s.Lane.Stats().Open == 1 }, patience, time.Millisecond)
	stopped := make(chan error, 1)
	go func() { stopped <- s.Lane.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool { _, err := net.Dial("tcp", s.Addr); return err != nil }, patience, time.Millisecond)
	require.True(t, ask(t, conn, bufio.NewReader(conn), "/").Close)
	require.NoError(t, receive(t, stopped))
	require.Zero(t, s.Lane.Stats().Open)
}

// TestClose cuts off a request in progress.
func TestClose(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		began, ended := make(chan struct{}), make(chan error, 1)
		s := kind.Start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(began)
			<-r.Context().Done()
			ended <- r.Context().Err()
		}))
		conn := dial(t, s.Addr)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		receive(t, began)
		s.Close()
		require.ErrorIs(t, receive(t, ended), context.Canceled)
		_, err := conn.Read(make([]byte, 1))
		require.Error(t, err)
	})
}

// TestServeAfterShutdown checks that a server which was shut down accepts nothing.
func TestServeAfterShutdown(t *testing.T) {
	s := lane.New(&http.Server{Handler: http.HandlerFunc(describe)})
	require.NoError(t, s.Shutdown(t.Context()))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorIs(t, s.Serve(l), http.ErrServerClosed)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

// TestConnStates compares the states that the listener hears of.
func TestConnStates(t *testing.T) {
	record := func(t *testing.T, kind lanetest.Kind) (all []string) {
		var mu sync.Mutex
		closed := make(chan struct{}, 10)
		s := kind.StartServer(t, &http.Server{
			Handler: http.HandlerFunc(describe),
			ConnState: func(_ net.Conn, state http.ConnState) {
				mu.Lock()
				defer mu.Unlock()
				all = append(all, state.String())
				if state == http.StateClosed {
					closed <- struct{}{}
				}
			},
		})
		for _, text := range []string{before + after, "", after + "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"} {
			_, err := talk(s.Addr, text)
			require.NoError(t, err)
			receive(t, closed)
		}
		mu.Lock()
		defer mu.Unlock()
		return all
	}
	require.Equal(t, record(t, lanetest.NetHTTP), record(t, lanetest.Lane))
}

// TestLateHeads compares the ends of connections whose deadline passes before a head is complete, as a listener sets it.
func TestLateHeads(t *testing.T) {
	end := func(kind lanetest.Kind, text string) string {
		s := kind.StartServer(t, &http.Server{
			Handler: http.HandlerFunc(describe),
			ConnContext: func(ctx context.Context, c net.Conn) context.Context {
				_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
				return ctx
			},
		})
		conn := dial(t, s.Addr)
		_, err := io.WriteString(conn, text)
		require.NoError(t, err)
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		return normal(string(answer))
	}
	for _, text := range []string{"", "G", "GET / HT", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost", "GET / HTTP/1.1\r\nHost: h\r\n"} {
		require.Equal(t, end(lanetest.NetHTTP, text), end(lanetest.Lane, text), "%q", text)
	}
}

// TestHandOver checks that net/http serves what the lane does not, and other requests of the connection afterwards.
func TestHandOver(t *testing.T) {
	s := lanetest.Lane.Start(t, http.HandlerFunc(describe))
	conn := dial(t, s.Addr)
	from := bufio.NewReader(conn)
	for i, handed := range []uint64{0, 0, 1, 1, 1} {
		if i == 2 {
			fmt.Fprint(conn, "POST /chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n")
			resp, err := http.ReadResponse(from, nil)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
		} else {
			ask(t, conn, from, "/")
		}
		want := lane.Stats{Open: 1 - int(handed), Accepted: 1}
		want.Left[lane.Body] = handed
		require.Equal(t, want, s.Lane.Stats())
	}
}

// TestHTTP2 checks that clients may begin with HTTP/2.
func TestHTTP2(t *testing.T) {
	server := &http.Server{Handler: http.HandlerFunc(describe), Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	s := lanetest.Lane.StartServer(t, server)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	for range 3 {
		resp, err := (&http.Client{Transport: transport}).Get("http://" + s.Addr)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 2, resp.ProtoMajor)
	}
	want := lane.Stats{Accepted: 1}
	want.Left[lane.Version] = 1
	require.Equal(t, want, s.Lane.Stats())
}

// TestPanic checks that a panic is logged, unless it only ends the response.
func TestPanic(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		var said bytes.Buffer
		s := kind.StartServer(t, &http.Server{
			ErrorLog: log.New(&said, "", 0),
			Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/odd" {
					panic(errors.New("an odd value"))
				}
				panic(http.ErrAbortHandler)
			}),
		})
		for _, path := range []string{"/", "/odd"} {
			text, err := talk(s.Addr, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n")
			require.NoError(t, err)
			require.Empty(t, text)
		}
		require.NoError(t, s.Stop(t.Context())) // nothing writes to said any more
		require.Equal(t, 1, bytes.Count(said.Bytes(), []byte("panic serving")))
		require.Contains(t, said.String(), "an odd value")
	})
}

// failing is a listener whose Accept fails for some time.
type failing struct {
	net.Listener
	failures int
}

// Accept implements net.Listener.
func (l *failing) Accept() (net.Conn, error) {
	if l.failures--; l.failures >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (l *failing) Close() error { return nil }

// Addr implements net.Listener.
func (l *failing) Addr() net.Addr { return &net.TCPAddr{} }

// TestAcceptGoesOn checks that a lack of descriptors does not end the server, and costs no processor.
func TestAcceptGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s := lane.New(&http.Server{Handler: http.HandlerFunc(describe)})
		require.ErrorIs(t, s.Serve(&failing{failures: 10}), net.ErrClosed)
		require.Equal(t, (5+10+20+40+80+160+320+640+1000+1000)*time.Millisecond, time.Since(begin))
	})
}
