package queue_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/kinds/queue"
)

// TestDamagedRequest checks that one flipped bit fails one
// request, with a response to its client, and no other.
func TestDamagedRequest(t *testing.T) {
	dir := t.TempDir()
	var results [2]string
	t.Run("before", func(t *testing.T) {
		h := newHouse(t, dir, nil)
		h.add("/jobs", queue.Document{Durable: true})
		results = [2]string{h.accept("POST", "/jobs?async=1", "the first body")[len(h.URL):], h.accept("POST", "/jobs?async=1", "the second one")[len(h.URL):]}
	})
	name := filepath.Join(dir, "queue", "requests.db")
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Positive(t, bytes.Count(text, []byte("the first body")))
	require.NoError(t, os.WriteFile(name, bytes.ReplaceAll(text, []byte("the first body"), []byte("the fIrst body")), 0o600))

	h := newHouse(t, dir, nil)
	e, err := h.Inspect(routekey.MustParse("/jobs"))
	require.NoError(t, err)
	at := addressOf(t, e.Status)
	got := h.take(at + "/api/v1/jobs/request")
	require.Equal(t, "the second one", string(got.Body))
	h.do("GET", h.URL+results[0], "").RequireProblem(t, problem.Internal)
	require.Equal(t, http.StatusOK, h.do("POST", at+"/api/v1/jobs/response", reply(got.Identifier, 200, "done")).StatusCode)
	require.Equal(t, "done", h.do("GET", h.URL+results[1], "").Body)
	e, err = h.Inspect(routekey.MustParse("/jobs"))
	require.NoError(t, err)
	require.Equal(t, 1, e.Status.Queue.Damaged)
	require.Contains(t, e.Status.Target, "1 damaged requests set aside")
}

// TestDamagedFile checks that an unusable file fails the durable queue only.
func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	t.Run("before", func(t *testing.T) {
		h := newHouse(t, dir, nil)
		h.add("/jobs", queue.Document{Durable: true})
		h.add("/other", queue.Document{})
		h.accept("POST", "/jobs?async=1", "a job")
	})
	name := filepath.Join(dir, "queue", "requests.db")
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	for page := 2 * os.Getpagesize(); page < len(text); page += os.Getpagesize() {
		text[page] ^= 1 // the page's own id
	}
	require.NoError(t, os.WriteFile(name, text, 0o600))
	h := newHouse(t, dir, nil)
	e, err := h.Inspect(routekey.MustParse("/jobs"))
	require.NoError(t, err)
	require.ErrorContains(t, e.Problem, "damaged")
	h.do("POST", h.URL+"/jobs?async=1", "x").RequireProblem(t, problem.NotReady)
	e, err = h.Inspect(routekey.MustParse("/other"))
	require.NoError(t, err)
	asked := h.ask("GET", "/other", "")
	got := h.take(addressOf(t, e.Status) + "/api/v1/other/request")
	require.Equal(t, http.StatusOK, h.do("POST", addressOf(t, e.Status)+"/api/v1/other/response", reply(got.Identifier, 200, "")).StatusCode)
	require.Equal(t, http.StatusOK, (<-asked).StatusCode)
}
