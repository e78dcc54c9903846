package lane_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

// dial connects until the test ends.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn.(*net.TCPConn)
}

// receive returns the next value of a channel.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

// TestClientGone checks that a request ends with its client, in all ways in which handlers wait for that.
func TestClientGone(t *testing.T) {
	leave := map[string]func(*net.TCPConn){
		"closed":      func(c *net.TCPConn) { _ = c.Close() },
		"reset":       func(c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() },
		"half closed": func(c *net.TCPConn) { _ = c.CloseWrite() },
	}
	wait := map[string]func(ctx context.Context){
		"done": func(ctx context.Context) { <-ctx.Done() },
		"polled": func(ctx context.Context) {
			for ctx.Err() == nil {
				<-time.After(time.Millisecond)
			}
		},
		"derived": func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(context.WithValue(ctx, http.NoBody, 1), time.Hour)
			defer cancel()
			<-ctx.Done()
		},
		"after func": func(ctx context.Context) {
			ended := make(chan struct{})
			defer context.AfterFunc(ctx, func() { close(ended) })()
			<-ended
		},
	}
	full := "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 4000\r\nX: "
	full += strings.Repeat("x", 4096-len(full)-len("\r\n\r\n")-4000) + "\r\n\r\n" + strings.Repeat("b", 4000) // fills the buffer
	requests := []string{"GET / HTTP/1.1\r\nHost: h\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody", full}
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		for how, leave := range leave {
			for name, wait := range wait {
				for _, request := range requests {
					t.Run(how+" "+name+" "+request[:4], func(t *testing.T) {
						t.Parallel()
						began, ended := make(chan struct{}), make(chan error, 1)
						s := kind.Start(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
							_, _ = io.Copy(io.Discard, r.Body)
							close(began)
							wait(r.Context())
							ended <- r.Context().Err()
						}))
						conn := dial(t, s.Addr)
						_, err := io.WriteString(conn, request)
						require.NoError(t, err)
						receive(t, began)
						leave(conn)
						require.ErrorIs(t, receive(t, ended), context.Canceled)
					})
				}
			}
		}
	})
}

// TestContext checks what a request's context is while the handler runs, and afterwards.
func TestContext(t *testing.T) {
	type key struct{ name string }
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		used, unused := make(chan context.Context, 1), make(chan context.Context, 1)
		server := &http.Server{
			BaseContext: func(l net.Listener) context.Context {
				return context.WithValue(context.Background(), key{"base"}, l.Addr().String())
			},
			ConnContext: func(ctx context.Context, c net.Conn) context.Context {
				return context.WithValue(ctx, key{"conn"}, c.RemoteAddr().String())
			},
		}
		server.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/unused" {
				unused <- r.Context()
				return
			}
			require.NoError(t, r.Context().Err())
			require.NotNil(t, r.Context().Done())
			used <- r.Context()
		})
		s := kind.StartServer(t, server)
		conn := dial(t, s.Addr)
		from := bufio.NewReader(conn)
		for path, contexts := range map[string]chan context.Context{"/used": used, "/unused": unused} {
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
			resp, err := http.ReadResponse(from, nil)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			ctx := receive(t, contexts)
			receive(t, ctx.Done())
			require.Equal(t, context.Canceled, ctx.Err())
			require.Equal(t, context.Canceled, context.Cause(ctx))
			_, bounded := ctx.Deadline()
			require.False(t, bounded)
			require.Same(t, server, ctx.Value(http.ServerContextKey))
			require.Equal(t, s.Addr, ctx.Value(http.LocalAddrContextKey).(net.Addr).String())
			require.Equal(t, s.Addr, ctx.Value(key{"base"}))
			require.Equal(t, conn.LocalAddr().String(), ctx.Value(key{"conn"}))
			require.Nil(t, ctx.Value(key{"other"}))
			child, cancel := context.WithCancel(ctx)
			require.Error(t, child.Err(), "derived from an ended context")
			cancel()
		}
	})
}

// TestPipelining sends many requests at once, while handlers watch the client. Responses come in order.
func TestPipelining(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		s := kind.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			select {
			case <-r.Context().Done():
			case <-time.After(3 * time.Millisecond): // longer than the start of a watch
			}
			fmt.Fprintf(w, "%s %s %v", r.URL.Path, body, r.Context().Err())
		}))
		conn := dial(t, s.Addr)
		const count = 200
		sent := make(chan error, 1)
		go func() {
			var b strings.Builder
			for i := range count {
				fmt.Fprintf(&b, "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n%03dGET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i, i, i)
			}
			_, err := io.WriteString(conn, b.String())
			sent <- err
		}()
		from := bufio.NewReader(conn)
		for i := range count {
			for _, want := range []string{fmt.Sprintf("/%d %03d <nil>", i, i), fmt.Sprintf("/%d  <nil>", i)} {
				resp, err := http.ReadResponse(from, nil)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, want, string(body))
			}
		}
		require.NoError(t, receive(t, sent))
	})
}

// TestByteByByte sends each byte in a segment of its own.
func TestByteByByte(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		conn := dial(t, kind.Start(t, http.HandlerFunc(describe)).Addr)
		from := bufio.NewReader(conn)
		for _, request := range []string{before, after, before, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"} {
			for i := range len(request) {
				_, err := io.WriteString(conn, request[i:i+1])
				require.NoError(t, err)
			}
			resp, err := http.ReadResponse(from, nil)
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
		}
	})
}

// TestDeadlines checks deadlines that a handler sets.
func TestDeadlines(t *testing.T) {
	lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
		failed := make(chan error, 3)
		s := kind.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			control := http.NewResponseController(w)
			switch r.URL.Path {
			case "/read":
				_ = control.SetReadDeadline(time.Now().Add(time.Millisecond))
				_, err := io.Copy(io.Discard, r.Body)
				failed <- err
				failed <- r.Context().Err()
			case "/write":
				_ = control.SetWriteDeadline(time.Now().Add(-time.Second))
				_, _ = io.WriteString(w, "lost")
				failed <- control.Flush()
				failed <- r.Context().Err()
			case "/passed": // such as by a handler that did not take its deadline back
				_ = control.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
				_ = control.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			}
		}))
		conn := dial(t, s.Addr)
		fmt.Fprint(conn, "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf")
		require.ErrorIs(t, receive(t, failed), os.ErrDeadlineExceeded)
		require.ErrorIs(t, receive(t, failed), context.Canceled)

		conn = dial(t, s.Addr)
		fmt.Fprint(conn, "GET /write HTTP/1.1\r\nHost: h\r\n\r\n")
		require.ErrorIs(t, receive(t, failed), os.ErrDeadlineExceeded)
		require.ErrorIs(t, receive(t, failed), context.Canceled)
		text, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Empty(t, text)

		conn = dial(t, s.Addr)
		from := bufio.NewReader(conn)
		for range 2 {
			fmt.Fprint(conn, "GET /passed HTTP/1.1\r\nHost: h\r\n\r\n")
			resp, err := http.ReadResponse(from, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			<-time.After(100 * time.Millisecond)
		}
	})
}

// TestStrayGoroutine lets a goroutine outlive its handler. It must not reach the next request of the connection. In net/http
// it can, see RATIONALE.
func TestStrayGoroutine(t *testing.T) {
	returned, went := make(chan struct{}), make(chan error, 4)
	s := lanetest.Lane.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/next" {
			_, _ = io.Copy(w, r.Body)
			return
		}
		go func() {
			<-returned
			w.WriteHeader(http.StatusTeapot)
			_, err := io.WriteString(w, "stray")
			went <- err
			went <- http.NewResponseController(w).Flush()
			_, err = r.Body.Read(make([]byte, 10))
			went <- err
			w.(interface{ CloseGently() }).CloseGently()
			_, err = io.Copy(w, strings.NewReader("stray"))
			went <- err
		}()
	}))
	conn := dial(t, s.Addr)
	from := bufio.NewReader(conn)
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbodyPOST /next HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\n\r\nha")
	resp, err := http.ReadResponse(from, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	close(returned)
	for range 4 {
		require.Error(t, receive(t, went))
	}
	_, err = io.WriteString(conn, "lf..")
	require.NoError(t, err)
	resp, err = http.ReadResponse(from, nil)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "half..", string(body))
}

// TestHijack takes connections over: in the lane, and in net/http because of Upgrade.
func TestHijack(t *testing.T) {
	for _, upgrade := range []string{"", "Connection: Upgrade\r\nUpgrade: x\r\n"} {
		lanetest.Both(t, func(t *testing.T, kind lanetest.Kind) {
			returned := make(chan error, 3)
			s := kind.Start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/before" {
					return
				}
				_ = r.Context().Err()
				<-time.After(3 * time.Millisecond) // longer than the start of a watch
				conn, buffered, err := http.NewResponseController(w).Hijack()
				if err != nil {
					returned <- err
					return
				}
				defer conn.Close()
				_, err = io.WriteString(w, "late")
				returned <- err
				_, _, err = http.NewResponseController(w).Hijack()
				returned <- err
				returned <- nil
				_, _ = io.CopyN(conn, buffered, 8)
			}))
			conn := dial(t, s.Addr)
			fmt.Fprint(conn, "GET /before HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n"+upgrade+"\r\nahea")
			require.ErrorIs(t, receive(t, returned), http.ErrHijacked)
			require.ErrorIs(t, receive(t, returned), http.ErrHijacked)
			require.NoError(t, receive(t, returned))
			require.NoError(t, s.Stop(t.Context()), "a hijacked connection is not waited for")
			fmt.Fprint(conn, "more")
			text, err := io.ReadAll(conn)
			require.NoError(t, err)
			require.True(t, strings.HasSuffix(string(text), "\r\n\r\naheamore"), "%q", text)
		})
	}
}
