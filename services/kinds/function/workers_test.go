package function_test

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
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestBadWorkers(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{})
	other := f.bind("/other", function.Document{})
	w, stranger := newWorker(t, addr), newWorker(t, other)
	got := f.Begin("GET", "/fn", "")
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
	require.Equal(t, 204, f.Await(got).StatusCode)
}

func TestWorkerDies(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(time.Hour))
	got := f.Begin("GET", "/fn", "")
	w := newWorker(t, addr)
	id, _, _ := w.next()
	w.die()
	requireProblem(t, f.Await(got), problem.BadGateway)
	status, _ := newWorker(t, addr).post(id, "response", "{}")
	require.Equal(t, 403, status, "nobody answers it any more")
}

func TestWorkerDiesWhileItAnswers(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(time.Hour))
	for _, c := range []struct{ name, request string }{
		{"half a header", "POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\nHost: localhost\r\nContent-Le"},
		{"half a body", "POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{}"},
		{"half a chunk", "POST /2018-06-01/runtime/invocation/ID/response HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"},
		{"half an error", "POST /2018-06-01/runtime/invocation/ID/error HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{}"},
		{"garbage", "\x16\x03\x01garbage\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := f.Begin("GET", "/fn", "")
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
			requireProblem(t, f.Await(got), problem.BadGateway)
		})
	}
}

// TestPassingWorkers plays a runtime written as a shell script, which opens a connection for each request.
func TestPassingWorkers(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(servicetest.HangTimeout))
	for _, header := range []string{"Connection: close", "User-Agent: curl/8.0"} {
		got := f.Begin("GET", "/fn", "")
		w := newWorker(t, addr)
		resp, _, err := w.call(t.Context(), "GET", "/2018-06-01/runtime/invocation/next", nil, header)
		require.NoError(t, err)
		w.die()
		status, _ := newWorker(t, addr).post(resp.Header.Get("Lambda-Runtime-Aws-Request-Id"), "response", `{"statusCode":204}`, header)
		require.Equal(t, 202, status)
		require.Equal(t, 204, f.Await(got).StatusCode)
	}
}

// TestLoopsShareConnections checks that a worker with several loops is lost only with its last connection.
func TestLoopsShareConnections(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{Loops: 3}, servicetest.WithTimeout(time.Hour))
	stays, w := newWorker(t, addr), newWorker(t, addr)
	first := f.Begin("GET", "/fn", "")
	id, _, _ := w.next()
	second := f.Begin("GET", "/fn", "")
	stays.next()
	w.die()
	status, _ := stays.post(id, "response", `{"statusCode":204}`)
	require.Equal(t, 202, status, "another connection of the worker's may answer")
	require.Equal(t, 204, f.Await(first).StatusCode)
	stays.die()
	requireProblem(t, f.Await(second), problem.BadGateway)
}

func TestDeadline(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(500*time.Millisecond))
	a := f.Send("GET", "/fn", "")
	requireProblem(t, a, problem.NoCapacity)
	require.NotEmpty(t, a.Header.Get("Retry-After"), "no worker was there")
	w := newWorker(t, addr)
	got := f.Begin("GET", "/fn", "")
	id, _, _ := w.next()
	requireProblem(t, f.Await(got), problem.Deadline)
	status, _ := w.post(id, "response", `{}`)
	require.Equal(t, 202, status, "a late answer is dropped, and the worker goes on")
	status, _ = w.post(id, "response", `{}`)
	require.Equal(t, 403, status)
}

func TestClientLeaves(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(servicetest.HangTimeout))
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
	got := f.Begin("GET", "/fn", "")
	w.answer(`{"statusCode":204}`)
	require.Equal(t, 204, f.Await(got).StatusCode, "the worker has lived through it")
}

func TestInitError(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(time.Hour))
	got := f.Begin("GET", "/fn", "")
	w := newWorker(t, addr)
	for done := false; !done; { // until the request is queued
		resp, _, err := w.call(t.Context(), "POST", "/2018-06-01/runtime/init/error", strings.NewReader(`{"errorMessage":"secret","errorType":"Init"}`))
		require.NoError(t, err)
		require.Equal(t, 202, resp.StatusCode)
		select {
		case a := <-got:
			requireProblem(t, a, problem.BadGateway)
			done = true
		default:
		}
	}
}
