package wasm_test

import (
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestNoisyNeighbours measures a good service while another one burns processor time in every
// way, with more concurrent requests than processors, including traps and memory bombs.
func TestNoisyNeighbours(t *testing.T) {
	t.Run("spinners", func(t *testing.T) { testNoise(t, spinners) })
	t.Run("crashers", func(t *testing.T) {
		testNoise(t, []string{"recurse", "indirect", "trap", "oobstore", "grow", "growok"})
	})
}

func testNoise(t *testing.T, shapes []string) {
	const timeout = 300 * time.Millisecond
	s := newServer(t, wasm.Config{Slots: 32, SlotBytes: 2 << 20})
	s.add("/hello", guests.Wat(t, "hello"))
	s.add("/spin", guests.Wat(t, "spin"), servicetest.WithTimeout(timeout))
	alone := latencies(t, s, 200*time.Millisecond)

	var stop atomic.Bool
	var noise sync.WaitGroup
	for _, shape := range slices.Repeat(shapes, 2) {
		noise.Go(func() {
			for !stop.Load() {
				a := s.get("/spin/" + shape)
				if a.StatusCode != 200 && a.StatusCode != 500 && a.StatusCode != http.StatusGatewayTimeout {
					t.Errorf("%s: %d %s", shape, a.StatusCode, a.Body)
					return
				}
			}
		})
	}
	beside := latencies(t, s, 2*time.Second)
	stop.Store(true)
	noise.Wait()
	t.Logf("alone:  %s", quantiles(alone))
	t.Logf("beside: %s", quantiles(beside))
	require.Less(t, beside[len(beside)*9/10], timeout/2, "the good service does not wait for the bad one to be stopped")
}

// latencies calls /hello sequentially for a while and returns the sorted latencies.
func latencies(t *testing.T, s *server, during time.Duration) (all []time.Duration) {
	for end := time.Now().Add(during); time.Now().Before(end); {
		start := time.Now()
		a := s.get("/hello")
		all = append(all, time.Since(start))
		require.Equal(t, 200, a.StatusCode, a.Body)
	}
	slices.Sort(all)
	return all
}

func quantiles(sorted []time.Duration) string {
	at := func(q float64) string {
		return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(time.Microsecond).String()
	}
	return "p50 " + at(0.5) + ", p90 " + at(0.9) + ", p99 " + at(0.99) + ", max " + at(1)
}
