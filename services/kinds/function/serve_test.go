package function_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/event/httpevent"
	"github.com/vespo-dev/vespo/services/event/invocation"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestServe(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(servicetest.HangTimeout))
	require.Contains(t, f.Status("/fn").Target, addr)
	got := f.Begin("POST", "/fn/a%20b?x=1", `{"n":1}`)
	w := newWorker(t, addr)
	id, text, h := w.next()
	deadline, err := strconv.ParseInt(h.Get("Lambda-Runtime-Deadline-Ms"), 10, 64)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(servicetest.HangTimeout), time.UnixMilli(deadline), servicetest.HangTimeout)
	require.Equal(t, "arn:aws:lambda:us-east-1:000000000000:function:fn", h.Get("Lambda-Runtime-Invoked-Function-Arn"))
	require.NotContains(t, h, "Lambda-Runtime-Client-Context")
	var event httpevent.Event
	require.NoError(t, json.Unmarshal([]byte(text), &event))
	require.Equal(t, "/a%20b", event.RawPath)
	require.Equal(t, `{"n":1}`, event.Body)
	status, text := w.post(id, "response", `{"statusCode":201,"headers":{"X-A":"b"},"cookies":["a=1","b=2"],"body":"hello"}`)
	require.Equal(t, 202, status)
	require.JSONEq(t, `{"status":"OK"}`, text)
	a := f.Await(got)
	require.Equal(t, 201, a.StatusCode)
	require.Equal(t, "hello", a.Body)
	require.Equal(t, "b", a.Header.Get("X-A"))
	require.Equal(t, []string{"a=1", "b=2"}, a.Header["Set-Cookie"])
	require.Contains(t, f.Status("/fn").Target, "0 busy")
}

func TestManyWorkers(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{})
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	for range 4 {
		w := newWorker(t, addr)
		workers.Go(func() {
			for {
				resp, text, err := w.call(ctx, "GET", "/2018-06-01/runtime/invocation/next", nil)
				if err != nil {
					return
				}
				var event httpevent.Event
				if json.Unmarshal([]byte(text), &event) != nil {
					return
				}
				output, _ := json.Marshal(map[string]any{"statusCode": 200, "body": event.Body})
				w.post(resp.Header.Get("Lambda-Runtime-Aws-Request-Id"), "response", string(output))
			}
		})
	}
	var clients sync.WaitGroup
	for i := range 200 {
		clients.Go(func() {
			a := f.Send("POST", "/fn", "request "+strconv.Itoa(i))
			if a.StatusCode != 200 || a.Body != "request "+strconv.Itoa(i) {
				t.Errorf("request %d was answered %d %s", i, a.StatusCode, a.Body)
			}
		})
	}
	clients.Wait()
	stop()
	workers.Wait()
}

func TestFailures(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{})
	w := newWorker(t, addr)
	for _, c := range []struct {
		name, what, body string
		status           int // for the worker
		want             problem.Kind
	}{
		{"error", "error", `{"errorMessage":"secret","errorType":"Secret"}`, 202, problem.BadGateway},
		{"error that is not JSON", "error", `secret`, 202, problem.BadGateway},
		{"bad JSON", "response", `{"secret`, 202, problem.BadGateway},
		{"bad status", "response", `{"statusCode":1}`, 202, problem.BadGateway},
		{"bad header", "response", `{"statusCode":200,"headers":{"a":"b\r\nsecret: c"}}`, 202, problem.BadGateway},
		{"too large", "response", strings.Repeat("x", 7<<20), 413, problem.BadGateway},
		{"one byte too large", "response", strings.Repeat("x", invocation.MaxOutputBytes+1), 413, problem.BadGateway},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := f.Begin("GET", "/fn", "")
			id, _, _ := w.next()
			status, text := w.post(id, c.what, c.body)
			require.Equal(t, c.status, status, text)
			requireProblem(t, f.Await(got), c.want)
			if status == 413 {
				require.Contains(t, text, "RequestEntityTooLarge")
			}
			status, text = w.post(id, "response", "{}")
			require.Equal(t, 403, status, "a second answer")
			require.Contains(t, text, "InvalidStateTransition")
		})
	}
	got := f.Begin("GET", "/fn", "")
	w.answer(`"` + strings.Repeat("x", invocation.MaxOutputBytes-2) + `"`)
	require.Len(t, f.Await(got).Body, invocation.MaxOutputBytes, "the limit itself is allowed")
	requireProblem(t, f.Send("POST", "/fn", strings.Repeat("x", invocation.MaxPayloadBytes+1)), problem.BodyTooLarge)
	requireProblem(t, f.Send("POST", "/fn", strings.Repeat("x", invocation.MaxPayloadBytes)), problem.BodyTooLarge) // including the event around it
}

func TestStream(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(servicetest.HangTimeout))
	w := newWorker(t, addr)
	from, to := io.Pipe()
	resp := make(chan *http.Response, 1)
	go func() {
		r, err := http.Get(f.URL + "/fn")
		if err != nil {
			t.Error(err)
		}
		resp <- r
	}()
	id, _, _ := w.next()
	posted := make(chan int, 1)
	go func() {
		r, _, err := w.call(t.Context(), "POST", "/2018-06-01/runtime/invocation/"+id+"/response", from,
			"Content-Type: "+httpevent.PreludeType, "Lambda-Runtime-Function-Response-Mode: streaming")
		if err != nil {
			t.Error(err)
		}
		posted <- r.StatusCode
	}()
	write := func(s string) {
		_, err := io.WriteString(to, s)
		require.NoError(t, err)
	}
	write(`{"statusCode":202,"head`)
	write("ers\":{\"X-A\":\"b\"},\"cookies\":[\"c=d\"]}\x00\x00\x00\x00")
	write("\x00\x00\x00\x00first ")
	a := <-resp
	defer a.Body.Close()
	require.Equal(t, 202, a.StatusCode)
	require.Equal(t, "b", a.Header.Get("X-A"))
	require.Equal(t, "c=d", a.Header.Get("Set-Cookie"))
	buf := make([]byte, 6)
	_, err := io.ReadFull(a.Body, buf)
	require.NoError(t, err)
	require.Equal(t, "first ", string(buf), "before the function has ended")
	go func() {
		_, err := io.WriteString(to, strings.Repeat("x", 8<<20)) // streams are not limited in size
		to.CloseWithError(err)
	}()
	n, err := io.Copy(io.Discard, a.Body)
	require.NoError(t, err)
	require.EqualValues(t, 8<<20, n)
	require.Equal(t, 202, <-posted)
}

func TestStreamFails(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(servicetest.HangTimeout))
	w := newWorker(t, addr)
	failure := base64.StdEncoding.EncodeToString([]byte(`{"errorMessage":"secret","errorType":"Secret"}`))
	stream := func(body, contentType string, trailer http.Header) int {
		id, _, _ := w.next()
		r, err := http.NewRequest("POST", "http://"+addr+"/2018-06-01/runtime/invocation/"+id+"/response", struct{ io.Reader }{strings.NewReader(body)})
		require.NoError(t, err)
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
		r.Trailer = trailer
		resp, err := w.transport.RoundTrip(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		return resp.StatusCode
	}
	trailer := http.Header{"Lambda-Runtime-Function-Error-Type": {"Secret"}, "Lambda-Runtime-Function-Error-Body": {failure}}

	got := f.Begin("GET", "/fn", "")
	require.Equal(t, 202, stream("{\"statusCode\":2", httpevent.PreludeType, trailer))
	requireProblem(t, f.Await(got), problem.BadGateway) // nothing has been sent yet

	got = f.Begin("GET", "/fn", "")
	stream("{}", httpevent.PreludeType, nil)
	requireProblem(t, f.Await(got), problem.BadGateway)

	got = f.Begin("GET", "/fn", "")
	stream(strings.Repeat("a", httpevent.MaxPreludeBytes*2), httpevent.PreludeType, nil)
	requireProblem(t, f.Await(got), problem.BadGateway)

	cut := make(chan error, 1)
	go func() {
		resp, err := http.Get(f.URL + "/fn")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		cut <- err
	}()
	require.Equal(t, 202, stream("some", "text/plain", trailer))
	require.Error(t, <-cut, "an answer that has begun is cut off")
}

func TestReplaceKeepsWorkers(t *testing.T) {
	f := newFrontWith(t, function.Config{}, servicetest.HangTimeout)
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(servicetest.HangTimeout))
	w := newWorker(t, addr)
	got := f.Begin("GET", "/fn", "")
	id, _, _ := w.next()
	next := f.Deploy(spec("/fn", function.Document{Loops: 2}))
	require.Contains(t, next.Status.Target, addr, "the endpoint is the prefix's")
	status, _ := w.post(id, "response", `{"statusCode":204}`)
	require.Equal(t, 202, status)
	require.Equal(t, 204, f.Await(got).StatusCode)
	f.AwaitRetired("/fn", next.Before.Generation)
	waiting := make(chan bool, 1)
	go func() {
		resp, _, err := w.call(t.Context(), "GET", "/2018-06-01/runtime/invocation/next", nil)
		waiting <- err == nil && resp.StatusCode == 200
	}()
	f.AwaitStatus("/fn", func(s services.Status) bool { return s.Warm == 1 })
	f.Withdraw("/fn")
	require.False(t, <-waiting, "with the last version, the workers are let go")
	_, err := net.Dial("tcp", addr)
	require.Error(t, err)
}

func TestCloseStopsRequests(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(time.Hour))
	held := f.Begin("GET", "/fn", "")
	d := f.Deployment("/fn")
	w := newWorker(t, addr)
	w.next()
	queued := f.Begin("GET", "/fn", "")
	require.Eventually(t, func() bool { return f.Status("/fn").InFlight == 2 }, servicetest.HangTimeout, time.Millisecond)
	f.Withdraw("/fn")
	requireProblem(t, f.Await(held), problem.NotReady)
	requireProblem(t, f.Await(queued), problem.NotReady)
	require.Equal(t, problem.NotReady, problem.From(servicetest.Call(d, "GET", "/")).Kind(), "a request that waited for admission")
}

func TestHeldBytesAreBounded(t *testing.T) {
	f := newFront(t, function.Config{HeldBytes: 1 << 20})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(servicetest.HangTimeout))
	held := f.Begin("POST", "/fn", strings.Repeat("x", 300<<10))
	w := newWorker(t, addr)
	id, _, _ := w.next() // the whole body has been read, and is held until the answer
	stats := f.kind.Stats()
	require.Greater(t, stats.Held.HeldBytes, int64(299<<10))
	require.Equal(t, []int{1, 0, 1, 0}, []int{stats.Endpoints, stats.Waiting, stats.Busy, stats.Queued})
	a := f.Send("POST", "/fn", strings.Repeat("x", 600<<10))
	requireProblem(t, a, problem.NoCapacity)
	other := f.bind("/other", function.Document{}, servicetest.WithTimeout(servicetest.HangTimeout))
	beside := f.Begin("POST", "/other", strings.Repeat("x", 100<<10))
	newWorker(t, other).answer(`{"statusCode":204}`)
	require.Equal(t, 204, f.Await(beside).StatusCode, "another function has its own share")
	status, _ := w.post(id, "response", `{"statusCode":204}`)
	require.Equal(t, 202, status)
	require.Equal(t, 204, f.Await(held).StatusCode)
}

func TestExtensionStubs(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{})
	w := newWorker(t, addr)
	resp, text, err := w.call(t.Context(), "POST", "/2020-01-01/extension/register", strings.NewReader(`{"events":["INVOKE"]}`))
	require.NoError(t, err)
	require.NotEmpty(t, resp.Header.Get("Lambda-Extension-Identifier"))
	require.JSONEq(t, `{"functionName":"fn","functionVersion":"$LATEST","handler":"fn"}`, text)
	for _, path := range []string{"/2020-08-15/logs", "/2022-07-01/telemetry"} {
		resp, _, err := w.call(t.Context(), "PUT", path, strings.NewReader("{}"))
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, _, err = w.call(ctx, "GET", "/2020-01-01/extension/event/next", nil)
	require.ErrorIs(t, err, context.DeadlineExceeded, "it waits")
}

func TestDocument(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{})
	_, portText, _ := net.SplitHostPort(addr)
	port, err := strconv.Atoi(portText)
	require.NoError(t, err)
	_, err = f.kind.Prepare(t.Context(), spec("/other", function.Document{RuntimePort: port}))
	var p *problem.Problem
	require.ErrorAs(t, err, &p)
	require.Equal(t, problem.Conflict, p.Kind())
	for _, c := range []struct{ document, want string }{
		{`{"runtime_port":70000}`, "runtime_port is 70000"},
		{`{"worker_concurrency":-1}`, "worker_concurrency is -1"},
		{`{"other":1}`, "unknown field"},
		{`{} {}`, "followed by something else"},
		{strings.Repeat(" ", schema.MaxManifestBytes+1), "at most"},
		{`{"timeout":"2h"}`, "timeout is 2h0m0s: it must be"},
		{`{"memory":1}`, "memory"},
		{`{"exec_arg":["a"],"config":{"a":"b"}}`, "config is a field of exec, which is not given"},
	} {
		err := f.kind.Validate(servicetest.Manifest(function.KindName, "/x", registry.Manifest(c.document)))
		require.ErrorContains(t, err, c.want)
	}
	require.Equal(t, function.Document{Loops: 1}.Encode(), function.Document{}.Encode())
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"runtime_port":9001,"worker_concurrency":4}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := function.Decode(registry.Manifest(text))
		if err != nil {
			return
		}
		again, err := function.Decode(d.Encode())
		require.NoError(t, err)
		require.Equal(t, d.Encode(), again.Encode())
	})
}

// TestStreamStalls checks that a worker that hangs in the middle of
// a stream is disconnected at the deadline, and so is the client.
func TestStreamStalls(t *testing.T) {
	f := newFront(t, function.Config{})
	addr := f.bind("/fn", function.Document{}, servicetest.WithTimeout(time.Second))
	w := newWorker(t, addr)
	from, to := io.Pipe()
	cut := make(chan error, 1)
	go func() {
		resp, err := http.Get(f.URL + "/fn")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		cut <- err
	}()
	id, _, _ := w.next()
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		_, _, _ = w.call(t.Context(), "POST", "/2018-06-01/runtime/invocation/"+id+"/response", from, "Lambda-Runtime-Function-Response-Mode: streaming")
	}()
	_, err := io.WriteString(to, "some")
	require.NoError(t, err)
	require.Error(t, <-cut, "the answer is not complete")
	require.NoError(t, to.Close())
	<-posted
}

// TestBodyThatDoesNotArrive checks that a client whose body stops is answered, however little of it is missing.
func TestBodyThatDoesNotArrive(t *testing.T) {
	f := newFront(t, function.Config{})
	f.bind("/fn", function.Document{}, servicetest.WithTimeout(time.Second))
	for _, size := range []int{2, 300 << 10, 7 << 20} {
		conn, err := net.Dial("tcp", f.Addr)
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, conn.SetDeadline(time.Now().Add(servicetest.HangTimeout)))
		_, err = fmt.Fprintf(conn, "POST /fn HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\nx", size)
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, "%d bytes", size)
		require.NoError(t, resp.Body.Close())
		require.Contains(t, []int{http.StatusRequestTimeout, http.StatusRequestEntityTooLarge}, resp.StatusCode, "%d bytes", size)
	}
}
