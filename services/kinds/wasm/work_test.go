package wasm_test

import (
	"context"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestWorkOfRealGuests sends requests to guests that are written by hand and in Go: to warm instances, restored ones, after an eviction, and
// many at the same time, so that slices differ. All requests that start from one snapshot are the same work. Go seeds its
// maps with random numbers before the snapshot is taken, so another snapshot may be other work, and commands do so in each
// request. A guest without random numbers is the same work on all servers.
func TestWorkOfRealGuests(t *testing.T) {
	one, two := newServer(t, wasm.Config{Slots: 4}), newServer(t, wasm.Config{Slots: 4})
	hello := one.workOf("hello", guests.Wat(t, "hello"))
	require.Equal(t, hello[0], hello[1], "another snapshot")
	require.Equal(t, hello, two.workOf("hello", guests.Wat(t, "hello")))
	for _, name := range []string{"gohello", "headers"} {
		t.Log(name, one.workOf(name, guests.Go(t, name)))
	}
}

// workOf deploys a guest and returns the work of a request to it, before and after an eviction of its code.
func (s *server) workOf(name string, module []byte) (works [2]int64) {
	s.tb.Helper()
	d := s.add("/"+name, module)
	send := func() {
		a := s.get("/" + name + "/hello/world?x=1")
		require.Equal(s.tb, 200, a.StatusCode, a.Body)
	}
	const sequential, together = 3, 8
	starts := map[accesslog.Start]bool{}
	for i := range works {
		var clients sync.WaitGroup
		for range sequential {
			send()
		}
		for range together {
			clients.Go(send)
		}
		clients.Wait()
		seen := 0
		s.Records.First(func(rec accesslog.Record) bool {
			if rec.Service != "/"+name {
				return false
			}
			if seen++; seen == i*(sequential+together)+1 {
				works[i] = rec.Work
			}
			if seen > i*(sequential+together) {
				require.Equal(s.tb, works[i], rec.Work, "%s, request %d (%s)", name, seen, rec.Start)
			}
			starts[rec.Start] = true
			require.Equal(s.tb, rec.Start == accesslog.StartCold, rec.ColdTime > 0, rec.Start)
			return seen == (i+1)*(sequential+together)
		})
		require.Positive(s.tb, works[i])
		s.AwaitStatus("/"+name, func(status services.Status) bool { return status.InFlight == 0 })
		require.NoError(s.tb, d.Scale(context.Background(), services.EvictCode))
	}
	require.True(s.tb, starts[accesslog.StartCold] && starts[accesslog.StartWarm])
	return works
}

func TestWorkLimit(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/spin", guests.Wat(t, "spin"), servicetest.WithWorkLimit(1_000_000))
	for i, name := range spinners {
		a := s.get("/spin/" + name)
		require.Equal(t, http.StatusInternalServerError, a.StatusCode, a.Body)
		require.Contains(t, a.Body, "problems/work-limit")
		rec := s.Records.Nth(2*i + 1)
		require.Equal(t, accesslog.OutcomeWorkLimit, rec.Outcome)
		require.ErrorContains(t, rec.Err, "work limit exceeded")
		require.Greater(t, rec.Work, int64(1_000_000))
		require.Less(t, rec.Work, int64(1_010_000))
		require.Equal(t, 200, s.get("/spin/growok").StatusCode, "the next request is not affected")
	}
}
