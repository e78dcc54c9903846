package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// BenchmarkSharedCache compares requests that a host answers from its memory, from the engine, by an upstream on the same machine, and by a
// guest. Rounds of each take turns.
func BenchmarkSharedCache(b *testing.B) {
	const requests = 100
	engine, upstream := enginetest.StartRedis(b, "--appendonly", "no"), startCounting(b)
	hosts := cachingHosts(b, 2, "redis://"+engine.Address, upstream)
	other, h := hosts[0], hosts[1]
	alone := newKVHost(b)
	alone.start()
	deployCached([]*host{alone}, upstream, "1m")
	status, answer := h.post("/services/add", url.Values{"prefix": {"guest"}}, guests.SDK(b, "templates"))
	require.Equal(b, http.StatusCreated, status, answer)
	for _, h := range hosts {
		h.eventually(func() bool { return h.metric("vespo_cache_engine_away") == "0" })
	}
	other.asked("/c/mark")
	h.asked("/c/memory")
	n := 0
	once := func(h *host, path func(i int) string) time.Duration {
		begin := time.Now()
		for i := range requests {
			h.asked(path(i))
		}
		return time.Since(begin) / requests
	}
	kinds := []string{"memory", "engine", "upstream without an engine", "upstream", "guest"}
	times := make(map[string][]time.Duration)
	for b.Loop() {
		n++
		shared := func(i int) string { return fmt.Sprint("/c/shared", n, "-", i) }
		written := other.number("vespo_cache_shared_written_total")
		once(other, shared)
		other.eventually(func() bool { return other.number("vespo_cache_shared_written_total") >= written+requests })
		for kind, run := range map[string]func() time.Duration{
			"memory":   func() time.Duration { return once(h, func(int) string { return "/c/memory" }) },
			"engine":   func() time.Duration { return once(h, shared) },
			"upstream": func() time.Duration { return once(h, func(i int) string { return fmt.Sprint("/c/new", n, "-", i) }) },
			"upstream without an engine": func() time.Duration {
				return once(alone, func(i int) string { return fmt.Sprint("/c/new", n, "-", i) })
			},
			"guest": func() time.Duration { return once(h, func(int) string { return "/guest" }) },
		} {
			times[kind] = append(times[kind], run())
		}
	}
	memory := slices.Clone(times["memory"])
	slices.Sort(memory)
	for _, kind := range kinds {
		slices.Sort(times[kind])
		median := times[kind][len(times[kind])/2]
		b.Logf("%-28s %8s %5.2f times a hit in memory", kind, median.Round(time.Microsecond), float64(median)/float64(memory[len(memory)/2]))
	}
	b.Logf("%.0f hits of the engine, %.0f failed", h.number("vespo_cache_shared_hits_total"), h.number("vespo_cache_shared_failed_total"))
}
