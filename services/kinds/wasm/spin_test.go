package wasm_test

import (
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// spinners are the guest's endless loops, one for each form of code that can burn time.
var spinners = []string{"loop", "tree", "tail", "fill", "copy"}

func TestSpinnersAreStoppedAtTheDeadline(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/spin", guests.Wat(t, "spin"), servicetest.WithTimeout(200*time.Millisecond))
	s.add("/hello", guests.Wat(t, "hello"))
	for i, name := range spinners {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			a := s.get("/spin/" + name)
			t.Logf("answered after %v", time.Since(start))
			require.Equal(t, http.StatusGatewayTimeout, a.StatusCode, a.Body)
			require.Contains(t, a.Body, "problems/deadline")
			require.EqualValues(t, "deadline", s.Records.Nth(2*i+1).Outcome)
			require.Equal(t, 200, s.get("/hello").StatusCode)
		})
	}
}

func TestOutcomes(t *testing.T) {
	s := newServer(t, wasm.Config{})
	s.add("/spin", guests.Wat(t, "spin"), servicetest.WithTimeout(2*time.Second))
	for i, c := range []struct {
		path   string
		status int
		kind   string
	}{
		{"recurse", 500, "stack-overflow"},
		{"trap", 500, "trap"},
		{"oobstore", 500, "trap"},
		{"grow", 500, "out-of-memory"},
		{"growok", 200, ""},
	} {
		t.Run(c.path, func(t *testing.T) {
			a := s.get("/spin/" + c.path)
			require.Equal(t, c.status, a.StatusCode, a.Body)
			require.Contains(t, a.Body, c.kind)
			rec := s.Records.Nth(i + 1)
			t.Logf("%s: %s %v err %v", c.path, rec.Outcome, rec.TTLB, rec.Err)
			if c.status != 200 {
				require.Contains(t, a.Body, rec.RequestID)
				require.NotContains(t, a.Body, "wasm stack trace")
			}
		})
	}
}

// TestSpinnersDoNotStallTheCollector runs garbage collections while all spinners run.
// A guest that cannot be preempted would delay a collection for the whole timeout. The
// bound is generous, because the machine is shared.
func TestSpinnersDoNotStallTheCollector(t *testing.T) {
	const timeout = 3 * time.Second
	s := newServer(t, wasm.Config{})
	s.add("/spin", guests.Wat(t, "spin"), servicetest.WithTimeout(timeout))
	done := make(chan servicetest.Answer, len(spinners))
	for _, name := range spinners {
		go func() { done <- s.get("/spin/" + name) }()
	}
	var worst time.Duration
	for end := time.Now().Add(timeout / 2); time.Now().Before(end); {
		start := time.Now()
		runtime.GC()
		worst = max(worst, time.Since(start))
	}
	t.Logf("worst collection: %v", worst)
	for range spinners {
		require.Equal(t, http.StatusGatewayTimeout, (<-done).StatusCode)
	}
	require.Less(t, worst, timeout/2, "no collection waited for a guest to end")
}
