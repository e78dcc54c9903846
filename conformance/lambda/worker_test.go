package lambda

import (
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWorker serves a prefix with an unmodified program built with aws-lambda-go.
func TestWorker(t *testing.T) {
	s := serve(t)
	addr := s.addFunction("fn")
	w := work(t, addr)
	a := s.do("PUT", "/fn/a%20b?x=1", "hello", "Cookie: c=1; d=2", "Content-Type: text/plain")
	require.Equal(t, 201, a.StatusCode, a.body)
	require.Equal(t, "/a%20b hello [c=1 d=2]", a.body)
	require.Equal(t, "PUT", a.Header.Get("X-Method"))
	require.Equal(t, []string{"a=1", "b=2"}, a.Header["Set-Cookie"])
	a = s.do("GET", "/fn/plain", "")
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.JSONEq(t, `{"path":"/plain"}`, a.body)
	a = s.do("GET", "/fn/stream", "")
	require.Equal(t, 202, a.StatusCode)
	require.Equal(t, strings.Repeat("piece ", 100_000), a.body)
	require.Equal(t, []string{"c=3"}, a.Header["Set-Cookie"])
	a = s.do("GET", "/fn/fail", "")
	require.Equal(t, 502, a.StatusCode)
	require.NotContains(t, a.body, "secret")
	a = s.do("GET", "/fn", "after the failure")
	require.Equal(t, 201, a.StatusCode)
	require.Contains(t, s.Vespo("inspect", "fn"), "1 waiting, 0 busy")

	a = s.do("GET", "/fn/exit", "")
	require.Equal(t, 502, a.StatusCode, "the worker's end is noticed")
	require.Contains(t, a.body, "worker ended")
	<-w.Done
	work(t, addr)
	require.Equal(t, 201, s.do("GET", "/fn", "").StatusCode, "another one takes over")
	work(t, addr)
	require.Equal(t, 502, s.do("GET", "/fn/panic", "").StatusCode)
}

// TestWorkerIsKilled kills a worker that holds an event.
func TestWorkerIsKilled(t *testing.T) {
	s := serve(t, "--timeout", "1m")
	w := work(t, s.addFunction("fn", "--timeout", "1h"))
	got := make(chan answer, 1)
	go func() { got <- s.do("POST", "/fn/wait", "") }()
	for !strings.Contains(s.Vespo("inspect", "fn"), "1 busy") {
	}
	w.Stop(syscall.SIGKILL)
	require.Equal(t, 502, (<-got).StatusCode)
}

// TestLoops runs workers with several loops each.
func TestLoops(t *testing.T) {
	s := serve(t)
	addr := s.addFunction("fn", "--worker-concurrency", "5")
	work(t, addr, "AWS_LAMBDA_MAX_CONCURRENCY=5")
	work(t, addr, "AWS_LAMBDA_MAX_CONCURRENCY=5")
	var clients sync.WaitGroup
	for range 40 {
		clients.Go(func() {
			for range 10 {
				if a := s.do("GET", "/fn", "x"); a.StatusCode != 201 {
					t.Errorf("%d: %s", a.StatusCode, a.body)
				}
			}
		})
	}
	clients.Wait()
}
