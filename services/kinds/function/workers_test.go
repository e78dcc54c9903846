package function

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
)

func TestBadWorkers(t *testing.T) {
	f := newFront(t, Config{})
	_, addr := f.bind("/fn", Document{}, registry.Options{})
	_, other := f.bind("/other", Document{}, registry.Options{})
	w, stranger := newWorker(t, addr), newWorker(t, other)
	got := f.start("GET", "/fn", "")
	id, _, _ := w.next()
	for _, unknown := range []string{"x", "00000000-0000-4000-8000-000000000000", id + "0", "..%2f.."} {
		status, text := w.post(unknown, "response", "{}")
		require.Equal(t, 400, status)
		require.Contains(t, text, "InvalidRequestID")
	}
	status, _ := stranger.post(id, "response", "{}")
	require.Equal(t, 400, status, "an id is known at its own endpoint alone")
	status, text := w.post(id, "response", "{}", "Lambda-Runtime-Function-Response-Mode: other")
	require.Equal(t, 400, status)
	require.Contains(t, text, "InvalidFunctionResponseMode")
	for _, c := range []struct{ method, path, header string }{
		{"GET", "/", "X-Test: 2"}, {"POST", "/2018-06-01/runtime/invocation/next", "X-Test: 2"}, {"GET", "/2018-06-01/runtime/invocation/" + id + "/response", "X-Test: 2"},
		{"GET", "/2018-06-01/runtime/invocation/next", "Origin: http://evil.example"},
		{"GET", "/2018-06-01/runtime/invocation/next", "Sec-Fetch-Site: cross-site"},
	} {
		resp, _, err := w.call(t.Context(), c.method, c.path, nil, "X-Test: 1", c.header)
		require.NoError(t, err)
		require.Contains(t, []int{403, 404, 405}, resp.StatusCode, c.path)
	}
	status, _ = w.post(id, "response", `{"statusCode":204}`)
	require.Equal(t, 202, status, "after all that, the answer still counts")
	require.Equal(t, 204, f.await(got).StatusCode)
}

func TestWorkerDies(t *testing.T) {
	f := newFront(t, Config{})
	_, addr := f.bind("/fn", Document{}, registry.Options{Timeout: time.Hour})
	got := f.start("GET", "/fn", "")
	w := newWorker(t, addr)
	id, _, _ := w.next()
	w.die()
	f.await(got).requireProblem(t, problem.BadGateway)
	status, _ := newWorker(t, addr).post(id, "response", "{}")
	require.Equal(t, 403, status, "nobody answers it any more")
}

func TestWorkerDiesWhileItAnswers(t *testing.T) {
	f := newFront(t, Config{})
	_, addr := f.bind("/fn", Document{}, registry.Options{Timeout: time.Hour})
	for _, c := range []struct{ name, request string }{
		{"half a header", "POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\nHost: localhost\r\nContent-Le"},
		{"half a body", "POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{}"},
		{"half a chunk", "POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"},
		{"half an error", "POST /2018-06-01/runtime/invocation/ID/error HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{}"},
		{"garbage", "\x16\x03\x01garbage\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := f.start("GET", "/fn", "")
			conn, err := net.Dial("tcp", addr)
			require.NoError(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: localhost\r\n\r\n")
			require.NoError(t, err)
			head := make([]byte, 4096)
			n, err := conn.Read(head)
			require.NoError(t, err)
			_, id, _ := strings.Cut(string(head[:n]), "Lambda-Runtime-Aws-Request-Id: ")
			id, _, _ = strings.Cut(id, "\r\n")
			_, err = io.WriteString(conn, strings.Replace(c.request, "ID", id, 1))
			require.NoError(t, err)
			require.NoError(t, conn.(*net.TCPConn).CloseWrite())
			f.await(got).requireProblem(t, problem.BadGateway)
		})
	}
}

// TestPassingWorkers plays a runtime written as a shell script, which opens a connection for each request.
func TestPassingWorkers(t *testing.T) {
	f := newFront(t, Config{})
	_, addr := f.bind("/fn", Document{}, registry.Options{Timeout: hangTimeout})
	for _, header := range []string{"Connection: close", "User-Agent: curl/8.0"} {
		got := f.start("GET", "/fn", "")
		w := newWorker(t, addr)
		resp, _, err := w.call(t.Context(), "GET", "/2018-06-01/runtime/invocation/next", nil, header)
		require.NoError(t, err)
		w.die()
		status, _ := newWorker(t, addr).post(resp.Header.Get("Lambda-Runtime-Aws-Request-Id"), "response", `{"statusCode":204}`, header)
		require.Equal(t, 202, status)
		require.Equal(t, 204, f.await(got).StatusCode)
	}
}

// TestLoopsShareConnections checks that a worker with several loops is lost only with its last connection.
func TestLoopsShareConnections(t *testing.T) {
	f := newFront(t, Config{})
	_, addr := f.bind("/fn", Document{Loops: 3}, registry.Options{Timeout: time.Hour})
	stays, w := newWorker(t, addr), newWorker(t, addr)
	first := f.start("GET", "/fn", "")
	id, _, _ := w.next()
	second := f.start("GET", "/fn", "")
	stays.next()
	w.die()
	status, _ := stays.post(id, "response", `{"statusCode":204}`)
	require.Equal(t, 202, status, "another connection of the worker's may answer")
	require.Equal(t, 204, f.await(first).StatusCode)
	stays.die()
	f.await(second).requireProblem(t, problem.BadGateway)
}

func TestDeadline(t *testing.T) {
	f := newFront(t, Config{})
	_, addr := f.bind("/fn", Document{}, registry.Options{Timeout: 50 * time.Millisecond})
	a := f.do("GET", "/fn", "")
	a.requireProblem(t, problem.NoCapacity)
	require.NotEmpty(t, a.Header.Get("Retry-After"), "no worker was there")
	w := newWorker(t, addr)
	got := f.start("GET", "/fn", "")
	id, _, _ := w.next()
	f.await(got).requireProblem(t, problem.Deadline)
	status, _ := w.post(id, "response", `{}`)
	require.Equal(t, 202, status, "a late answer is dropped, and the worker goes on")
	status, _ = w.post(id, "response", `{}`)
	require.Equal(t, 403, status)
}

func TestClientLeaves(t *testing.T) {
	f := newFront(t, Config{})
	_, addr := f.bind("/fn", Document{}, registry.Options{Timeout: hangTimeout})
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "GET", f.URL+"/fn", nil)
	require.NoError(t, err)
	gone := make(chan error, 1)
	go func() {
		_, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		gone <- err
	}()
	w := newWorker(t, addr)
	id, _, _ := w.next()
	leave()
	require.ErrorIs(t, <-gone, context.Canceled)
	status, _ := w.post(id, "response", `{}`)
	require.Equal(t, 202, status)
	got := f.start("GET", "/fn", "")
	w.answer(`{"statusCode":204}`)
	require.Equal(t, 204, f.await(got).StatusCode, "the worker has lived through it")
}

func TestInitError(t *testing.T) {
	f := newFront(t, Config{})
	_, addr := f.bind("/fn", Document{}, registry.Options{Timeout: time.Hour})
	got := f.start("GET", "/fn", "")
	w := newWorker(t, addr)
	for done := false; !done; { // until the request is queued
		resp, _, err := w.call(t.Context(), "POST", "/2018-06-01/runtime/init/error", strings.NewReader(`{"errorMessage":"secret","errorType":"Init"}`))
		require.NoError(t, err)
		require.Equal(t, 202, resp.StatusCode)
		select {
		case a := <-got:
			a.requireProblem(t, problem.BadGateway)
			done = true
		default:
		}
	}
}
