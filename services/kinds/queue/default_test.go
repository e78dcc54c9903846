package queue_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/queue"
)

func TestOneDefault(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	at := h.add("/a", queue.Document{Default: true})
	_, err := h.Add(t.Context(), spec("/b", queue.Document{Default: true}))
	require.ErrorContains(t, err, "both /a and /b would be it")
	require.Equal(t, problem.Conflict, problem.From(err).Kind())
	require.Len(t, h.List(), 1)
	h.add("/a", queue.Document{Default: true, Depth: 5})
	asked := h.ask("GET", "/a", "")
	h.awaitStatus("/a", 1, 0)
	h.add("/a", queue.Document{})
	h.add("/b", queue.Document{Default: true})
	_, err = h.Rollback(t.Context(), routekey.MustParse("/a"))
	require.ErrorContains(t, err, "both /b and /a would be it")
	// Requests from the time as default are still handed out without a name.
	got := h.take(at + "/api/v1/request")
	require.Equal(t, "/a", got.Environment["SCRIPT_NAME"])
	require.Equal(t, 200, h.do("POST", at+"/api/v1/response", reply(got.Identifier, 200, "")).StatusCode)
	require.Equal(t, 200, (<-asked).StatusCode)
}

// TestDefaultMovesInOneTransaction moves the default to another queue in one transaction.
func TestDefaultMovesInOneTransaction(t *testing.T) {
	h := newHouse(t, t.TempDir(), nil)
	byDefault := func(prefix string, d bool) services.Spec {
		return spec(prefix, queue.Document{Default: d})
	}
	for _, specs := range [][]services.Spec{
		{byDefault("/a", true), byDefault("/b", false)},
		{byDefault("/a", false), byDefault("/b", true)},
		{byDefault("/b", false), byDefault("/a", true)},
		{byDefault("/c", true)},
	} {
		_, err := h.Apply(t.Context(), specs)
		require.NoError(t, err)
	}
	_, err := h.Apply(t.Context(), []services.Spec{byDefault("/c", true), byDefault("/d", true)})
	require.ErrorContains(t, err, "both /c and /d would be it")
	require.Len(t, h.List(), 1)
}

// TestDefaultThatComesBack checks a default queue that could not start, and another
// one that became the default. At the next start both could be the default. The
// first in the order of the catalogue starts, and the other one fails with a reason.
func TestDefaultThatComesBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "queue", "requests.db")
	t.Run("first", func(t *testing.T) {
		newHouse(t, dir, nil).add("/a", queue.Document{Default: true, Durable: true})
	})
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<16), 0o600))
	t.Run("second", func(t *testing.T) {
		newHouse(t, dir, nil).add("/b", queue.Document{Default: true})
	})
	require.NoError(t, os.Remove(path))
	h := newHouse(t, dir, nil)
	for _, e := range h.List() {
		if e.Service.Key == routekey.MustParse("/a") {
			require.NoError(t, e.Problem)
			continue
		}
		require.ErrorContains(t, e.Problem, "both /a and /b would be it")
		require.Equal(t, services.StateFailed, e.Status.State)
	}
	h.do("GET", h.URL+"/b", "").RequireProblem(t, problem.NotReady)
}
