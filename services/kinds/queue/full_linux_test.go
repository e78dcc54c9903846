package queue_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestFullDisk checks that an answer that cannot be stored is not lost: the
// worker receives an error, keeps its lease and can send the answer again.
func TestFullDisk(t *testing.T) {
	dir := crashtest.SmallDisk(t)
	h := newHouse(t, t.TempDir(), func(c *queue.Config) { c.Dir = dir })
	at := h.add("/jobs", queue.Document{Durable: true, Lease: schema.Period(time.Minute)})
	result := h.accept("POST", "/jobs?async=1", "a job")
	waits := h.accept("POST", "/jobs?async=1", "another")
	got := h.take(at + "/api/v1/jobs/request")
	free := crashtest.FillDisk(t, dir)
	answer := reply(got.Identifier, 200, strings.Repeat("x", 100<<10))
	for range 2 {
		a := h.do("POST", at+"/api/v1/jobs/response", answer)
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode, a.Body)
		require.Equal(t, "1", a.Header.Get("Retry-After"))
		require.Equal(t, "pending", h.do("GET", result, "").Header.Get("Vespo-Result"))
	}
	refused := h.do("POST", h.URL+"/jobs?async=1", strings.Repeat("x", 100<<10))
	refused.RequireProblem(t, problem.NoCapacity)
	require.NotEmpty(t, refused.Header.Get("Retry-After"))
	h.awaitStatus("/jobs", 1, 1)
	free()
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/jobs/response", answer).StatusCode)
	a := h.do("GET", result, "")
	require.Equal(t, "answered", a.Header.Get("Vespo-Result"))
	require.Len(t, a.Body, 100<<10)
	require.Equal(t, http.StatusNotFound, h.do("POST", at+"/api/v1/jobs/response", answer).StatusCode, "once")
	got = h.take(at + "/api/v1/jobs/request")
	require.Equal(t, "another", string(got.Body))
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "")).StatusCode)
	require.Equal(t, "answered", h.do("GET", waits, "").Header.Get("Vespo-Result"))
}

// TestExpiredOnFullDisk checks that the end of a request is
// visible even if it cannot be stored, and is stored later.
func TestExpiredOnFullDisk(t *testing.T) {
	dir := crashtest.SmallDisk(t)
	h := newHouse(t, t.TempDir(), func(c *queue.Config) { c.Dir = dir })
	at := h.add("/jobs", queue.Document{Durable: true, Lease: schema.Period(500 * time.Millisecond)})
	result := h.accept("POST", "/jobs?async=1", "a job")
	h.take(at + "/api/v1/jobs/request")
	free := crashtest.FillDisk(t, dir)
	require.Eventually(t, func() bool { return h.do("GET", result, "").StatusCode == http.StatusGatewayTimeout }, servicetest.HangTimeout, 10*time.Millisecond)
	free()
	require.Equal(t, http.StatusGatewayTimeout, h.do("GET", result, "").StatusCode)
	h.awaitStatus("/jobs", 0, 0)
}
