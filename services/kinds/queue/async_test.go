package queue_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// accept sends an asynchronous request and returns the location of its result.
func (h *house) accept(method, path, body string, headers ...string) string {
	h.t.Helper()
	a := h.do(method, h.URL+path, body, headers...)
	require.Equal(h.t, http.StatusAccepted, a.StatusCode, a.Body)
	require.Equal(h.t, "respond-async", a.Header.Get("Preference-Applied"))
	require.NotEmpty(h.t, a.Header.Get("Location"))
	return h.URL + a.Header.Get("Location")
}

func TestAsync(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	for _, prefix := range []string{"/jobs", "/"} {
		at := h.add(prefix, queue.Document{Durable: true, Default: prefix == "/jobs"})
		for _, c := range []struct{ path, header string }{{"/x?async=1", "X: y"}, {"/x?a=b&async=1", "X: y"}, {"/x", "Prefer: wait=5, Respond-Async; x=y"}} {
			result := h.accept("POST", trim(prefix)+c.path, "hello", c.header)
			a := h.do("GET", result, "")
			require.Equal(t, http.StatusAccepted, a.StatusCode)
			require.Equal(t, "pending", a.Header.Get("Vespo-Result"))
			require.Equal(t, "1", a.Header.Get("Retry-After"))
			h.awaitStatus(prefix, 1, 0)
			got := h.take(at + "/api/v1/" + map[bool]string{true: "%2F", false: "jobs"}[prefix == "/"] + "/request")
			require.Equal(t, "hello", string(got.Body))
			require.Equal(t, c.path, got.Environment["PATH_INFO"])
			require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/request", reply(got.Identifier, 503, "no")).StatusCode)
			for range 2 {
				a = h.do("GET", result, "")
				require.Equal(t, []any{503, "no", "answered"}, []any{a.StatusCode, a.Body, a.Header.Get("Vespo-Result")})
			}
			require.EqualValues(t, 2, h.do("HEAD", result, "").ContentLength)
			require.Equal(t, http.StatusNotFound, h.do("POST", at+"/api/v1/request", reply(got.Identifier, 200, "again")).StatusCode)
			h.do("POST", result, "").RequireProblem(t, problem.MethodNotAllowed)
		}
		h.do("GET", h.URL+trim(prefix)+"/_results/0123456789abcdef0123456789abcdef", "").RequireProblem(t, problem.NotFound)
	}
}

func trim(prefix string) string {
	if prefix == "/" {
		return ""
	}
	return prefix
}

// TestAsyncIsForDurableQueues checks that other queues pass the query and the header on to the application.
func TestAsyncIsForDurableQueues(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{})
	asked := h.ask("POST", "/jobs/_results/x?async=1", "", "Prefer: respond-async")
	got := h.take(at + "/api/v1/jobs/request")
	require.Equal(t, "/_results/x?async=1", got.Environment["PATH_INFO"])
	require.Equal(t, 200, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "")).StatusCode)
	require.Equal(t, 200, (<-asked).StatusCode)
}

func TestAsyncFailures(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/jobs", queue.Document{Durable: true, Lease: schema.Period(400 * time.Millisecond), Depth: 1})
	result := h.accept("POST", "/jobs?async=1", "x")
	a := h.do("POST", h.URL+"/jobs?async=1", "one too many")
	a.RequireProblem(t, problem.NoCapacity)
	h.take(at + "/api/v1/jobs/request") // and never answers
	require.Eventually(t, func() bool { return h.do("GET", result, "").StatusCode == http.StatusGatewayTimeout }, servicetest.HangTimeout, time.Millisecond)

	result = h.accept("POST", "/jobs?async=1", "x")
	got := h.take(at + "/api/v1/jobs/request")
	require.Equal(t, http.StatusBadRequest, h.do("POST", at+"/api/v1/jobs/response", `{"identifier":"`+got.Identifier+`","code":1}`).StatusCode)
	h.do("GET", result, "").RequireProblem(t, problem.BadGateway)

	result = h.accept("POST", "/jobs?async=1", "x")
	got = h.take(at + "/api/v1/jobs/request")
	forged := `{"identifier":"` + got.Identifier + `","code":204,"headers":{"Vespo-Result":"pending"}}`
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/jobs/response", forged).StatusCode)
	a = h.do("GET", result, "")
	require.Equal(t, []any{204, []string{"answered"}}, []any{a.StatusCode, a.Header["Vespo-Result"]})

	result = h.accept("PUT", "/jobs?async=1", "x")
	h.take(at + "/api/v1/jobs/request") // and never answers
	got = h.take(at + "/api/v1/jobs/request")
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "second")).StatusCode)
	require.Equal(t, "second", h.do("GET", result, "").Body)
}

// TestStoredRequestsOutliveVersions checks that accepted requests
// survive the removal of their queue and a restart of the server.
func TestStoredRequestsOutliveVersions(t *testing.T) {
	dir := t.TempDir()
	var results []string
	var leased taken
	t.Run("accept", func(t *testing.T) {
		h := newHouse(t, dir, nil)
		at := h.add("/jobs", queue.Document{Durable: true})
		for n := range 6 {
			results = append(results, h.accept("POST", "/jobs?async=1", fmt.Sprint(n))[len(h.URL):])
		}
		leased = h.take(at + "/api/v1/jobs/request")
		require.Equal(t, "0", string(leased.Body))
		require.NoError(t, h.Remove(t.Context(), routekey.MustParse("/jobs")))
		h.do("GET", h.URL+results[0], "").RequireProblem(t, problem.NotFound)
		h.add("/jobs", queue.Document{Durable: true})
		h.awaitStatus("/jobs", 5, 1)
		h.add("/jobs", queue.Document{Durable: true, Depth: 3})
		h.awaitStatus("/jobs", 5, 1)
	})
	h := newHouse(t, dir, nil)
	h.awaitStatus("/jobs", 5, 1)
	at := addressOf(t, h.Status("/jobs"))
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/response", reply(leased.Identifier, 200, "0")).StatusCode, "the worker has lived on")
	for n := 1; n < 6; n++ {
		got := h.take(at + "/api/v1/jobs/request")
		require.Equal(t, fmt.Sprint(n), string(got.Body), "in the order of coming")
		require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/response", reply(got.Identifier, 200, fmt.Sprint(n))).StatusCode)
	}
	for n, result := range results {
		require.Equal(t, fmt.Sprint(n), h.do("GET", h.URL+result, "").Body)
	}
}

// TestDamagedStore checks a store file that is not a database.
// Its queue fails and reports why. The other services start.
func TestDamagedStore(t *testing.T) {
	dir := t.TempDir()
	t.Run("make", func(t *testing.T) {
		h := newHouse(t, dir, nil)
		h.add("/jobs", queue.Document{Durable: true})
		h.add("/other", queue.Document{}, servicetest.WithTimeout(time.Millisecond))
	})
	path := filepath.Join(dir, "queue", "requests.db")
	require.NoError(t, os.WriteFile(path, []byte("this is not a database, and longer than nothing"), 0o600))
	h := newHouse(t, dir, nil)
	h.do("GET", h.URL+"/other", "").RequireProblem(t, problem.Deadline)
	h.do("GET", h.URL+"/jobs", "").RequireProblem(t, problem.NotReady)
	entry, err := h.Inspect(routekey.MustParse("/jobs"))
	require.NoError(t, err)
	require.ErrorContains(t, entry.Problem, "durable queues")
}

func TestDurableNeedsADirectory(t *testing.T) {
	h := newHouse(t, t.TempDir(), func(c *queue.Config) { c.Dir = "" })
	_, err := h.Add(t.Context(), spec("/jobs", queue.Document{Durable: true}))
	require.ErrorContains(t, err, "keeps no data")
}
