package queue_test

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
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestRequestAndAnswer(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	asked := h.ask("POST", "/jobs/a%2Fb?x=1", "hello", "X-Mine: yes", "Content-Type: text/x")
	h.awaitStatus("/jobs", 1, 0)
	got := h.take(at + "/api/v1/jobs/request")
	require.Equal(t, "hello", string(got.Body))
	require.Equal(t, map[string]string{"REQUEST_METHOD": "POST", "SCRIPT_NAME": "/jobs", "PATH_INFO": "/a%2Fb?x=1", "HTTP_X_MINE": "yes",
		"CONTENT_LENGTH": "5", "CONTENT_TYPE": "text/x"}, selected(got.Environment, "REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "HTTP_X_MINE", "CONTENT_LENGTH", "CONTENT_TYPE"))
	h.awaitStatus("/jobs", 0, 1)
	said := h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, "201", "done"))
	require.Equal(t, http.StatusOK, said.StatusCode)
	require.JSONEq(t, `{"message":"thank you"}`, said.Body)
	a := <-asked
	require.Equal(t, []any{201, "done", "text/plain", int64(4)}, []any{a.StatusCode, a.Body, a.Header.Get("Content-Type"), a.ContentLength})
	require.Equal(t, got.Environment["HTTP_X_REQUEST_ID"], a.Header.Get("X-Request-Id"))
	rec := h.Records.Nth(1)
	require.Equal(t, accesslog.OutcomeOK, rec.Outcome)
	require.Positive(t, rec.QueueWait)
	require.EqualValues(t, 5, rec.BytesIn)
	// A second answer is refused, and so is one with an unknown identifier.
	for _, id := range []string{got.Identifier, "unknown"} {
		again := h.do("POST", at+"/api/v1/jobs/response", reply(id, 200, "again"))
		require.Equal(t, http.StatusNotFound, again.StatusCode)
		require.Contains(t, again.Body, `"error"`)
	}
	h.awaitStatus("/jobs", 0, 0)
}

func selected(env map[string]string, names ...string) map[string]string {
	some := map[string]string{}
	for _, name := range names {
		some[name] = env[name]
	}
	return some
}

func TestStatusesWithoutBody(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/", queue.Document{Default: true})
	for _, c := range []struct {
		method string
		code   int
		length int64
	}{{"GET", 204, 0}, {"GET", 304, 0}, {"HEAD", 200, 4}, {"GET", 200, 4}, {"GET", 500, 4}} {
		asked := h.ask(c.method, "/x", "")
		got := h.take(at + "/api/v1/request")
		require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/request", reply(got.Identifier, c.code, "body")).StatusCode)
		a := <-asked
		require.Equal(t, c.code, a.StatusCode)
		require.Equal(t, c.length, a.ContentLength, c)
	}
}

// TestNames checks all spellings of a service name.
func TestNames(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	var at string
	for _, prefix := range []string{"/", "/a/b", "/request"} {
		at = h.add(prefix, queue.Document{Default: prefix == "/a/b"})
	}
	for path, prefix := range map[string]string{
		"/api/v1/request": "/a/b", "/api/v1/a/b/request": "/a/b", "/api/v1/a%2Fb/request": "/a/b", "/api/v1/%2F/request": "/",
		"/api/v1/request/request": "/request",
	} {
		asked := h.ask("GET", prefix, "")
		got := h.take(at + path)
		require.Equal(t, strings.TrimSuffix(prefix, "/"), got.Environment["SCRIPT_NAME"], path)
		answer := strings.TrimSuffix(path, "/request") + "/response"
		require.Equal(t, http.StatusOK, h.do("POST", at+answer, reply(got.Identifier, 200, "")).StatusCode, path)
		require.Equal(t, 200, (<-asked).StatusCode)
	}
	for _, path := range []string{"/", "/api/v1", "/api/v1/", "/api/v2/request", "/api/v1//request", "/api/v1/a/b", "/api/v1/a b/request", "/api/v1/../request"} {
		a := h.do("POST", at+strings.ReplaceAll(path, " ", "%20"), reply("x", 200, ""))
		require.Equal(t, http.StatusNotFound, a.StatusCode, path)
		require.Contains(t, a.Body, `"error"`)
	}
	for _, method := range []string{"PUT", "DELETE", "HEAD"} {
		require.Equal(t, http.StatusMethodNotAllowed, h.do(method, at+"/api/v1/request", "").StatusCode)
	}
	// The identifier of one queue is not valid for another.
	asked := h.ask("GET", "/a/b", "")
	got := h.take(at + "/api/v1/a/b/request")
	require.Equal(t, http.StatusNotFound, h.do("POST", at+"/api/v1/request/response", reply(got.Identifier, 200, "")).StatusCode)
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/response", reply(got.Identifier, 200, "")).StatusCode)
	<-asked
}

// TestNamesWithAMatch checks that queues with the same path prefix and different header matches are separate.
func TestNamesWithAMatch(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	for _, prefix := range []string{"/", "/ Host: one.example", "/a", "/a Host: one.example"} {
		h.add(prefix, queue.Document{})
		entry, err := h.Inspect(routekey.MustParse(prefix))
		require.NoError(t, err)
		url, _, _ := strings.Cut(strings.TrimPrefix(entry.Status.Target, "workers at "), " ")
		path, host, matched := strings.Cut(prefix, " Host: ")
		var headers []string
		if matched {
			headers = append(headers, "Host: "+host)
		}
		asked := h.ask("GET", path, "", headers...)
		h.awaitStatus(prefix, 1, 0)
		got := h.take(url)
		require.Equal(t, 200, h.do("POST", url, reply(got.Identifier, 200, prefix)).StatusCode, url)
		require.Equal(t, prefix, (<-asked).Body)
	}
}

// TestNothingPending checks workers without requests: at a queue,
// at a queue that does not exist, and without a default queue.
func TestNothingPending(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	said := map[string]chan servicetest.Answer{}
	for _, path := range []string{"/api/v1/jobs/request", "/api/v1/none/request", "/api/v1/request"} {
		came := make(chan servicetest.Answer, 1)
		said[path] = came
		go func() {
			a, err := h.try(context.Background(), "GET", at+path, "")
			if err != nil {
				a = servicetest.Answer{Response: &http.Response{}, Body: err.Error()}
			}
			came <- a
		}()
	}
	for path, want := range map[string]string{
		"/api/v1/jobs/request": `{"error":"There are no requests pending"}`, "/api/v1/none/request": `{"error":"there is no queue with the prefix /none"}`,
		"/api/v1/request": `{"error":"there is no default queue: name one, as in /api/v1/{service}/request, or deploy one with default"}`,
	} {
		a := <-said[path]
		require.Equal(t, http.StatusNotFound, a.StatusCode)
		require.JSONEq(t, want, a.Body)
	}
}

func TestNobodyComes(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	h.add("/jobs", queue.Document{}, servicetest.WithTimeout(50*time.Millisecond))
	a := h.do("GET", h.URL+"/jobs", "")
	a.RequireProblem(t, problem.Deadline)
	require.Contains(t, a.Body, "no worker has taken the request within 50ms")
	rec := h.Records.Nth(1)
	require.Equal(t, accesslog.OutcomeDeadline, rec.Outcome)
	require.GreaterOrEqual(t, rec.QueueWait, 50*time.Millisecond)
	h.awaitStatus("/jobs", 0, 0)
}

// TestWorkerDies checks requests whose first worker never answers.
func TestWorkerDies(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	for _, c := range []struct {
		method    string
		redeliver bool
		again     bool
	}{{"GET", false, true}, {"POST", false, false}, {"POST", true, true}, {"PATCH", false, false}, {"PUT", false, true}, {"DELETE", false, true}} {
		at := h.add("/jobs", queue.Document{Lease: schema.Period(400 * time.Millisecond), Redeliver: c.redeliver})
		asked := h.ask(c.method, "/jobs", "body")
		first := h.take(at + "/api/v1/jobs/request")
		if !c.again {
			a := <-asked
			a.RequireProblem(t, problem.Deadline)
			require.Contains(t, a.Body, "a worker has taken the request")
			require.Equal(t, 404, h.do("POST", at+"/api/v1/jobs/response", reply(first.Identifier, 200, "late")).StatusCode)
			continue
		}
		second := h.take(at + "/api/v1/jobs/request")
		require.NotEqual(t, first.Identifier, second.Identifier)
		require.Equal(t, "body", string(second.Body))
		require.Equal(t, 404, h.do("POST", at+"/api/v1/jobs/response", reply(first.Identifier, 200, "late")).StatusCode)
		require.Equal(t, 200, h.do("POST", at+"/api/v1/jobs/response", reply(second.Identifier, 200, "in time")).StatusCode)
		require.Equal(t, "in time", (<-asked).Body)
	}
}

func TestFullQueue(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	require.Zero(t, h.kind.Stats().Queues)
	at := h.add("/jobs", queue.Document{Depth: 2})
	asked := []chan servicetest.Answer{h.ask("GET", "/jobs", ""), h.ask("POST", "/jobs", "x")}
	h.awaitStatus("/jobs", 2, 0)
	stats := h.kind.Stats()
	require.Equal(t, []int{1, 2, 0, 0}, []int{stats.Queues, stats.Waiting, stats.Leased, stats.Workers})
	require.Positive(t, stats.Requests.HeldBytes)
	for _, path := range []string{"/jobs", "/jobs"} {
		a := h.do("POST", h.URL+path, "one too many")
		a.RequireProblem(t, problem.NoCapacity)
		require.Equal(t, "1", a.Header.Get("Retry-After"))
	}
	for range asked {
		got := h.take(at + "/api/v1/jobs/request")
		require.Equal(t, 200, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "")).StatusCode)
	}
	for _, asked := range asked {
		require.Equal(t, 200, (<-asked).StatusCode)
	}
}

func TestTooManyBytes(t *testing.T) {
	h := newHouse(t, t.TempDir(), func(c *queue.Config) { c.MaxQueueBytes, c.MaxBodyBytes = 200<<10, 80<<10 })
	at := h.add("/jobs", queue.Document{})
	h.do("POST", h.URL+"/jobs", strings.Repeat("x", 80<<10+1)).RequireProblem(t, problem.BodyTooLarge)
	for range 2 { // returned bytes can be used again
		asked := h.ask("POST", "/jobs", strings.Repeat("x", 70<<10))
		h.awaitStatus("/jobs", 1, 0)
		a := h.do("POST", h.URL+"/jobs", strings.Repeat("x", 70<<10))
		a.RequireProblem(t, problem.NoCapacity)
		require.Equal(t, "1", a.Header.Get("Retry-After"))
		got := h.take(at + "/api/v1/jobs/request")
		require.Len(t, got.Body, 70<<10)
		require.Equal(t, 200, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "")).StatusCode)
		require.Equal(t, 200, (<-asked).StatusCode)
	}
}

func TestClientLeaves(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	for n, leased := range []int{0, 1} {
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := h.try(ctx, "POST", h.URL+"/jobs", "x")
			gone <- err
		}()
		h.awaitStatus("/jobs", 1, 0)
		var got taken
		if leased == 1 {
			got = h.take(at + "/api/v1/jobs/request")
		}
		leave()
		require.ErrorIs(t, <-gone, context.Canceled)
		h.awaitStatus("/jobs", 0, 0)
		require.Equal(t, accesslog.OutcomeClientGone, h.Records.Nth(n+1).Outcome)
		if leased == 1 {
			require.Equal(t, 404, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "")).StatusCode)
		}
	}
}

// TestWorkerLeaves checks that requests go to the remaining workers when waiting workers disconnect.
func TestWorkerLeaves(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	ctx, leave := context.WithCancel(t.Context())
	gone := make(chan error, 4)
	for range 4 {
		go func() {
			_, err := h.try(ctx, "GET", at+"/api/v1/jobs/request", "")
			gone <- err
		}()
	}
	leave()
	for range 4 {
		require.ErrorIs(t, <-gone, context.Canceled)
	}
	asked := h.ask("POST", "/jobs", "x")
	got := h.take(at + "/api/v1/jobs/request")
	require.Equal(t, 200, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "ok")).StatusCode)
	require.Equal(t, "ok", (<-asked).Body)
}

// TestVersionsShareTheLine replaces and removes a queue while a request is waiting.
func TestVersionsShareTheLine(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	for _, change := range []func() error{
		func() error {
			_, err := h.Add(t.Context(), spec("/jobs", queue.Document{Depth: 7}))
			return err
		},
		func() error { _, err := h.Rollback(t.Context(), routekey.MustParse("/jobs")); return err },
		func() error {
			_, err := h.Add(t.Context(), servicetest.Module(servicetest.TextKind, "/jobs", []byte("plain")))
			return err
		},
	} {
		waiting := h.ask("POST", "/jobs", "waits")
		h.awaitStatus("/jobs", 1, 0)
		first := h.take(at + "/api/v1/jobs/request")
		leased := waiting
		waiting = h.ask("POST", "/jobs", "waits")
		h.awaitStatus("/jobs", 1, 1)
		require.NoError(t, change())
		second := h.take(at + "/api/v1/jobs/request")
		for _, id := range []string{first.Identifier, second.Identifier} {
			require.Equal(t, 200, h.do("POST", at+"/api/v1/jobs/response", reply(id, 200, id)).StatusCode)
		}
		require.Equal(t, first.Identifier, (<-leased).Body)
		require.Equal(t, second.Identifier, (<-waiting).Body)
	}
	require.Equal(t, "plain", h.do("GET", h.URL+"/jobs", "").Body)
	require.NoError(t, h.Remove(t.Context(), routekey.MustParse("/jobs")))
}

// TestShutdown closes the server while clients and workers wait.
func TestShutdown(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	h.add("/other", queue.Document{})
	asked := h.ask("POST", "/jobs", "x")
	h.awaitStatus("/jobs", 1, 0)
	polled := make(chan servicetest.Answer, 1)
	go func() {
		a, err := h.try(context.Background(), "GET", at+"/api/v1/other/request", "")
		if err != nil {
			a.Body = err.Error()
		}
		polled <- a
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, h.Deployer.Close(ctx), "requests were stopped")
	a := <-asked
	a.RequireProblem(t, problem.NotReady)
	require.NotContains(t, (<-polled).Body, "identifier")
}

// TestSlowClient checks a request body that never arrives.
func TestSlowClient(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	h.add("/jobs", queue.Document{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "POST /jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.Equal(t, accesslog.OutcomeClientGone, h.Records.Nth(1).Outcome)
	h.awaitStatus("/jobs", 0, 0)
}
