//go:build unix

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/certs/certtest"
	"github.com/vespo-dev/vespo/testdata/guests/wat"
)

// load sends requests until ctx ends, with kept and new connections. It counts answers and keeps failures.
type load struct {
	answered atomic.Int64
	mu       sync.Mutex
	failures []string // guarded by mu
}

func (l *load) run(ctx context.Context, url string, secure *tls.Config) {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			transport := &http.Transport{TLSClientConfig: secure.Clone(), DisableKeepAlives: i%2 == 0, Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(i != 7)
			transport.Protocols.SetHTTP2(i == 7)
			transport.Protocols.SetUnencryptedHTTP2(i == 7)
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				if err := send(transport, url+"/echo", strconv.Itoa(i)); err != nil {
					l.mu.Lock()
					l.failures = append(l.failures, fmt.Sprintf("client %d: %v", i, err))
					l.mu.Unlock()
				}
				l.answered.Add(1)
			}
		})
	}
	all.Wait()
}

// send posts a body, which no client sends again by itself, and requires it back.
func send(transport *http.Transport, url, body string) error {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	return expect(transport, req, body)
}

// expect sends a request, and requires 200 with a body.
func expect(transport http.RoundTripper, req *http.Request, body string) error {
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	back, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || string(back) != body) {
		err = fmt.Errorf("status %d: %.200s", resp.StatusCode, back)
	}
	return err
}

// TestHandOver lets a process take over from another under load, twice. No request fails. One that lasts longer than that
// is answered by the process that has received it.
func TestHandOver(t *testing.T) {
	data := t.TempDir()
	module := filepath.Join(t.TempDir(), "echo.wasm")
	require.NoError(t, os.WriteFile(module, wat.Echo(), 0o600))
	a := certtest.NewAuthority(t)
	cert, key := a.Files("127.0.0.1")
	arrived, answer := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		arrived <- struct{}{}
		<-answer
		_, _ = io.WriteString(w, "late")
	}))
	defer slow.Close()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			flags := []string{"--data", data, "--admin-listen=127.0.0.1:0"}
			if secure {
				flags = append(flags, "--tls-cert", cert, "--tls-key", key)
			}
			p := startHandedOver(t, flags)
			config := &tls.Config{RootCAs: a.Pool()}
			if !secure {
				out, err := exec.Command("vespo", "add", "echo", module, "--server", p.url).CombinedOutput()
				require.NoError(t, err, "%s", out)
				out, err = exec.Command("vespo", "add", "slow", "--upstream", slow.URL, "--timeout", "5m", "--server", p.url).CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
			ctx, stop := context.WithCancel(t.Context())
			var l load
			ended := make(chan struct{})
			go func() { l.run(ctx, p.url, config); close(ended) }()
			long := p.beginLong(t, config)
			<-arrived
			for range 2 {
				before := l.answered.Load()
				p.handOver(t)
				require.Eventually(t, func() bool { return l.answered.Load() > before+100 }, hangTimeout, time.Millisecond)
				if long != nil {
					answer <- struct{}{}
					long()
					long = nil
				}
			}
			stop()
			<-ended
			require.Empty(t, l.failures[:min(8, len(l.failures))], "%d of %d failed", len(l.failures), l.answered.Load())
			t.Logf("%d requests", l.answered.Load())
		})
	}
}

// TestHandOverThatFails kills the successor when the server has begun to hand over. Another one takes its place, and no
// request fails.
func TestHandOverThatFails(t *testing.T) {
	module := filepath.Join(t.TempDir(), "echo.wasm")
	require.NoError(t, os.WriteFile(module, wat.Echo(), 0o600))
	p := startHandedOver(t, nil)
	out, err := exec.Command("vespo", "add", "echo", module, "--server", p.url).CombinedOutput()
	require.NoError(t, err, "%s", out)
	ctx, stop := context.WithCancel(t.Context())
	var l load
	ended := make(chan struct{})
	go func() { l.run(ctx, p.url, &tls.Config{}); close(ended) }()
	require.NoError(t, syscall.Kill(p.pid, syscall.SIGUSR2))
	victim, err := strconv.Atoi(p.await(t, regexp.MustCompile(`handing over.* pid=(\d+)`))[1])
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(victim, syscall.SIGKILL))
	pid, err := strconv.Atoi(p.await(t, successor)[1])
	require.NoError(t, err)
	require.NotEqual(t, victim, pid)
	p.pid = pid
	before := l.answered.Load()
	require.Eventually(t, func() bool { return l.answered.Load() > before+100 }, hangTimeout, time.Millisecond)
	stop()
	<-ended
	require.Empty(t, l.failures[:min(8, len(l.failures))], "%d of %d failed", len(l.failures), l.answered.Load())
}

// TestHandOverToNone asks for successors that cannot start. The server goes on, and can hand over afterwards.
func TestHandOverToNone(t *testing.T) {
	a := certtest.NewAuthority(t)
	cert, key := a.Files("127.0.0.1")
	p := startHandedOver(t, []string{"--tls-cert", cert, "--tls-key", key})
	works, err := os.ReadFile(cert)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cert, []byte("torn"), 0o600))
	require.NoError(t, syscall.Kill(p.pid, syscall.SIGUSR2))
	p.await(t, regexp.MustCompile("no other process takes over; this one goes on"))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: a.Pool()}}}
	defer client.CloseIdleConnections()
	ready := func() {
		resp, err := client.Get(p.url + "/services/ready")
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	ready()
	require.NoError(t, os.WriteFile(cert, works, 0o600))
	p.handOver(t)
	client.CloseIdleConnections()
	ready()
}

// TestHandOverOfEvents hands over while events are accepted and carried out. One that takes longer is cut off, and runs again.
func TestHandOverOfEvents(t *testing.T) {
	upstream := newDeliveries(t)
	var begun atomic.Int32
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if begun.Add(1) == 1 {
			_, _ = io.Copy(io.Discard, r.Body) // then the end of the connection is noticed
			select {
			case <-r.Context().Done(): // it is cut off
			case <-release:
			}
		}
	}))
	defer slow.Close()
	defer close(release)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	p := startHandedOver(t, []string{"--data", t.TempDir(), "--admin-listen=127.0.0.1:0", "--lambda-listen", address, "--timeout=1m"})
	for name, to := range map[string]string{"fn": upstream.URL, "slow": slow.URL} {
		out, err := exec.Command("vespo", "add", name, "--upstream", to, "--timeout=1m", "--server", p.url).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	api := "http://" + address
	require.True(t, sendEvent(t.Context(), api, "slow", "x"))
	require.Eventually(t, func() bool { return begun.Load() == 1 }, hangTimeout, time.Millisecond)
	accepted := map[string]bool{}
	ctx, stop := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	clients.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			if body := strconv.Itoa(i); sendEvent(t.Context(), api, "fn", body) {
				accepted[body] = true
			}
		}
	})
	p.handOver(t)
	require.Eventually(t, func() bool { return begun.Load() == 2 }, hangTimeout, time.Millisecond)
	stop()
	clients.Wait()
	require.NotEmpty(t, accepted)
	require.Eventually(t, func() bool { return upstream.missing(accepted) == 0 }, hangTimeout, time.Millisecond)
}

// handedOver is a server whose process changes.
type handedOver struct {
	*piped
	url string
	pid int // of the process that serves
}

func startHandedOver(t *testing.T, flags []string) *handedOver {
	t.Helper()
	h := &handedOver{}
	h.piped = startPiped(t, flags...)
	h.url, h.pid = h.client.Base(), h.cmd.Process.Pid
	t.Cleanup(func() { _ = syscall.Kill(h.pid, syscall.SIGKILL) })
	return h
}

var successor = regexp.MustCompile(`another process has taken over.* pid=(\d+)`)

// handOver asks for a successor, and waits until it serves.
func (h *handedOver) handOver(t *testing.T) {
	t.Helper()
	require.NoError(t, syscall.Kill(h.pid, syscall.SIGUSR2))
	pid, err := strconv.Atoi(h.await(t, successor)[1])
	require.NoError(t, err)
	require.NotEqual(t, h.pid, pid)
	h.pid = pid
}

// beginLong sends a request to the service /slow, and returns a function that reads its answer.
func (h *handedOver) beginLong(t *testing.T, config *tls.Config) (complete func()) {
	t.Helper()
	address := h.url[strings.LastIndex(h.url, "/")+1:]
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	if strings.HasPrefix(h.url, "https") {
		own := config.Clone()
		own.ServerName = "127.0.0.1"
		conn = tls.Client(conn, own)
	}
	_, err = io.WriteString(conn, "GET /slow HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	return func() {
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		require.Equal(t, "late", string(text))
	}
}
