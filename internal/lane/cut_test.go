package lane_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/vespo-dev/vespo/internal/crew"
	"github.com/vespo-dev/vespo/internal/lane/lanetest"
)

// conversation returns what a client sends: requests with and without bodies, a reset, a ping and a window.
func conversation(t *testing.T) []byte {
	t.Helper()
	sent, head := bytes.NewBufferString(http2.ClientPreface), new(bytes.Buffer)
	f, encoder := http2.NewFramer(sent, nil), hpack.NewEncoder(head)
	request := func(stream uint32, method string, end bool) {
		head.Reset()
		for _, field := range []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: "/"}, {Name: ":authority", Value: "h"}} {
			require.NoError(t, encoder.WriteField(field))
		}
		require.NoError(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: head.Bytes(), EndStream: end, EndHeaders: true}))
	}
	require.NoError(t, f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 3}))
	request(1, "GET", true)
	request(3, "POST", false)
	require.NoError(t, f.WriteData(3, true, []byte("body")))
	request(5, "POST", false)
	require.NoError(t, f.WriteRSTStream(5, http2.ErrCodeCancel))
	require.NoError(t, f.WritePing(false, [8]byte{}))
	require.NoError(t, f.WriteWindowUpdate(1, 100))
	return sent.Bytes()
}

// TestCutConnectionsLeaveNothing resets connections after each byte of a conversation. All goroutines end, but the kept ones of the crew.
func TestCutConnectionsLeaveNothing(t *testing.T) {
	sent := conversation(t)
	for _, tr := range []transport{transports[0], transports[2]} {
		t.Run(tr.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			kept := crew.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(w, r.Body)
				_, _ = io.WriteString(w, "hello")
			}))
			s := startFramed(t, lanetest.Lane, tr, kept.ServeHTTP)
			for n := range 2 * len(sent) {
				conn, err := net.Dial("tcp", s.Addr)
				require.NoError(t, err)
				if n%2 == 0 {
					require.NoError(t, conn.(*net.TCPConn).SetLinger(0))
				}
				to := conn
				if tr.version != 0 {
					to = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
				}
				_, err = to.Write(sent[:n/2])
				require.NoError(t, err)
				if n%3 == 0 {
					<-time.After(time.Millisecond) // the server may answer meanwhile
				}
				require.NoError(t, conn.Close())
			}
			kept.Close()
			// The server has the goroutine of its listener, and one of lanetest.
			ended := func() bool { return runtime.NumGoroutine() <= before+2 }
			require.Eventually(t, ended, patience, time.Millisecond)
		})
	}
}
