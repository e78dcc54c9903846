package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/linestest"
)

// running is a server with the demo's services on a real port.
type running struct {
	url    string
	signal context.CancelFunc // has the effect of SIGTERM
	ended  chan error
	said   *linestest.Lines
}

func runDemo(t *testing.T, flags ...string) *running {
	t.Helper()
	return runWith(t, func(*Config) {}, flags...)
}

// runWith is runDemo with a configuration that flags alone cannot give.
func runWith(t *testing.T, configure func(*Config), flags ...string) *running {
	t.Helper()
	cfg, err := parse(t, append([]string{"--demo", "--listen=127.0.0.1:0", "--memory=1MiB"}, flags...)...)
	require.NoError(t, err)
	configure(cfg)
	said := linestest.New()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s := openedServer(t, ctx, cfg, said)
	r := &running{signal: cancel, ended: make(chan error, 1), said: said}
	go func() { r.ended <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-r.ended)
	})
	require.True(t, said.Await(t.Context(), func(text string) bool {
		_, rest, found := strings.Cut(text, "listening on ")
		r.url, _, _ = strings.Cut(rest, "\n")
		return found
	}))
	return r
}

// onBoth runs a test with the fast lane and without it. The test gets the flag.
func onBoth(t *testing.T, test func(t *testing.T, fastLane string)) {
	t.Helper()
	for _, flag := range []string{"--fast-lane=on", "--fast-lane=off"} {
		t.Run(flag, func(t *testing.T) { test(t, flag) })
	}
}

func (r *running) address() string { return strings.TrimPrefix(r.url, "http://") }

func (r *running) status(path string) int {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(r.url + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// TestLeaveLosesNoRequest checks that clients get answers until they cannot connect. On systems other than
// Linux, connections that the server has not accepted are reset when it closes its listener.
func TestLeaveLosesNoRequest(t *testing.T) { onBoth(t, testLeaveLosesNoRequest) }

func testLeaveLosesNoRequest(t *testing.T, fastLane string) {
	for _, c := range []struct {
		name, delay string
		http2       bool
	}{{"at once", "0s", false}, {"with a delay", "300ms", false}, {"streams", "300ms", true}} {
		t.Run(c.name, func(t *testing.T) {
			r := runDemo(t, fastLane, "--slots=8", "--shutdown-delay="+c.delay)
			var told atomic.Int32
			var all sync.WaitGroup
			warm := make(chan struct{}, 12)
			lost := make(chan string, cap(warm)) // a client that loses a request ends
			for range cap(warm) {
				all.Go(func() {
					transport := &http.Transport{Protocols: new(http.Protocols)}
					transport.Protocols.SetHTTP1(!c.http2)
					transport.Protocols.SetUnencryptedHTTP2(c.http2)
					defer transport.CloseIdleConnections()
					once := sync.OnceFunc(func() { warm <- struct{}{} })
					defer once()
					for {
						var reused bool
						trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
						req, _ := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodPost, r.url+"/echo",
							strings.NewReader("x")) // a POST is not retried
						resp, err := transport.RoundTrip(req)
						switch {
						case errors.Is(err, syscall.ECONNREFUSED), err != nil && !reused && runtime.GOOS != "linux":
							return
						case err != nil:
							lost <- fmt.Sprintf("%v, the connection was used before: %t", err, reused)
							return
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
						if resp.StatusCode != http.StatusOK {
							lost <- resp.Status
							return
						}
						if resp.Close {
							told.Add(1)
						}
						once()
					}
				})
			}
			for range cap(warm) {
				<-warm
			}
			r.signal()
			all.Wait()
			close(lost)
			for what := range lost {
				t.Error(what)
			}
			if !c.http2 {
				require.Positive(t, told.Load())
			}
		})
	}
}

// TestShutdownDelay checks that during the delay the server is not ready but serves
// everything. An idle connection still gets its response, with Connection: close.
func TestShutdownDelay(t *testing.T) { onBoth(t, testShutdownDelay) }

func testShutdownDelay(t *testing.T, fastLane string) {
	r := runDemo(t, fastLane, "--slots=8", "--shutdown-delay=3s")
	idle, err := net.Dial("tcp", r.address())
	require.NoError(t, err)
	defer idle.Close()
	require.Equal(t, http.StatusOK, r.status("/services/ready"))
	r.signal()
	require.Eventually(t, func() bool { return r.status("/services/ready") == http.StatusServiceUnavailable }, time.Minute, time.Millisecond)
	require.Equal(t, http.StatusOK, r.status("/services/health"))
	require.Equal(t, http.StatusOK, r.status("/hello"))
	fmt.Fprint(idle, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
	text, err := io.ReadAll(idle) // until the connection is closed
	require.NoError(t, err)
	require.Contains(t, string(text), "HTTP/1.1 200 OK\r\n")
	require.Contains(t, string(text), "\r\nConnection: close\r\n")
}
