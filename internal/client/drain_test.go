package client

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestDrainLetsTheClientReadTheResponse checks on real connections that a client which first sends everything gets
// the response to a refused body, however long that is.
func TestDrainLetsTheClientReadTheResponse(t *testing.T) {
	const limit = 1 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_ = ConnOf(w).Flush()
		Drain(w, r, r.Body, Terms{Bytes: limit, Pace: Streamed()})
	}))
	defer server.Close()
	for _, size := range []int{1, limit, 2 * limit} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s", size, strings.Repeat("x", size))
		require.NoError(t, err, "%d bytes", size)
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
		_, _ = answer.Body.Close(), conn.Close()
	}
}

func TestDrainEnds(t *testing.T) {
	for name, c := range map[string]struct {
		send func(io.Writer)
		took time.Duration
		end  End
	}{
		"complete": {every(time.Second, 10, 1), time.Second, Complete},
		"silent":   {every(time.Hour, 1, 1), Leftover, Stalled},
		"trickle":  {every(time.Second/3, 1, 1000), Leftover, Stalled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, client := net.Pipe()
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					c.send(client)
					client.Close()
				}()
				begin := time.Now()
				r := request(t.Context(), server)
				end := Drain(&deadlines{ResponseWriter: httptest.NewRecorder(), conn: server}, r, r.Body, SoonDone())
				require.Equal(t, c.end, end)
				require.Equal(t, c.took, time.Since(begin))
				server.Close()
				<-sent
			})
		})
	}
}

// recorded is a ResponseWriter that records the deadlines that are set.
type recorded struct {
	http.ResponseWriter
	read, write time.Time
}

func (d *recorded) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *recorded) SetWriteDeadline(t time.Time) error { d.write = t; return nil }

func TestDeadlinesOfBound(t *testing.T) {
	const bodyTimeout, answerTimeout = 30 * time.Second, 40 * time.Second
	for _, tt := range []struct {
		name  string
		body  string
		stop  bool
		major int
	}{
		{name: "without a body", major: 1}, {name: "with a body", body: "x", major: 1}, {name: "aborted", body: "x", stop: true, major: 1},
		{name: "stream", major: 2}, {name: "stream with a body", body: "x", major: 2}, {name: "aborted stream", stop: true, major: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				w := &recorded{ResponseWriter: httptest.NewRecorder()}
				h := Bound(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					require.Zero(t, w.write, "a handler may take its time")
					time.Sleep(time.Hour)
					if tt.stop {
						panic(http.ErrAbortHandler)
					}
				}), bodyTimeout, answerTimeout)
				r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
				r.ProtoMajor = tt.major
				if tt.stop {
					require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(w, r) })
				} else {
					h.ServeHTTP(w, r)
				}
				if tt.body == "" {
					require.Zero(t, w.read)
				} else {
					require.Equal(t, begin.Add(bodyTimeout), w.read)
				}
				if tt.major == 1 { // the listener bounds writes
					require.Zero(t, w.write)
				} else {
					require.Equal(t, begin.Add(time.Hour+answerTimeout), w.write)
				}
			})
		})
	}
}

// TestBound checks that a handler which reads a body without bounds of its own ends, and that Body replaces the bound.
func TestBound(t *testing.T) {
	ended := make(chan error, 1)
	server := httptest.NewServer(Bound(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			r.Body = NewBody(w, r, Terms{})
		}
		_, err := io.ReadAll(r.Body)
		ended <- err
	}), 50*time.Millisecond, time.Minute))
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx")
	require.NoError(t, err)
	require.ErrorContains(t, <-ended, "timeout")

	conn, err = net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx")
	require.NoError(t, err)
	time.AfterFunc(150*time.Millisecond, func() { _, _ = io.WriteString(conn, "12345678") })
	require.NoError(t, <-ended, "the body came after the bound")
}
