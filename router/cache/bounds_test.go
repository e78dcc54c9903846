package cache

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/heaptest"
)

// TestMemoryIsBounded stores more than there is room for, in services of different appetite, with answers that are read meanwhile.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 1 << 20
	s := NewStore(limit)
	small, large := s.Open("/small"), s.Open("/large")
	for i := range 10 {
		fetch(t, small, ask(fmt.Sprint("/", i)), strings.Repeat("x", 1000), "Cache-Control: max-age=60")
	}
	var read []*Hit
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		fetch(t, large, ask(fmt.Sprint("/", i)), strings.Repeat("x", random.IntN(40<<10)), "Cache-Control: max-age=60")
		require.LessOrEqual(t, s.Stats().UsedBytes, int64(limit))
		if found, err := large.Fetch(t.Context(), ask(fmt.Sprint("/", i), "Cache-Control: only-if-cached")); err == nil && found.Hit != nil {
			if read = append(read, found.Hit); len(read) > 10 {
				read[0].Release()
				read = read[1:]
			}
		}
	}
	require.Greater(t, s.Stats().Evicted, uint64(1000))
	for i := range 10 {
		_, why := fetch(t, small, ask(fmt.Sprint("/", i)), "", "Cache-Control: no-store")
		require.Empty(t, why, "the answers of another service were pushed out")
	}
	small.Close()
	large.Close()
	require.Positive(t, s.used, "answers that are read do not count")
	for _, hit := range read {
		hit.Release()
	}
	requireEmpty(t, s)
}

// TestEntriesHoldNoMoreThanTheyCount stores answers whose texts are parts of larger ones, as those of requests and of guests are.
func TestEntriesHoldNoMoreThanTheyCount(t *testing.T) {
	s := NewStore(64 << 20)
	c := s.Open("/a")
	defer c.Close()
	const entries = 64
	before := heaptest.InUse()
	for i := range entries {
		q := ask(heaptest.Part(fmt.Sprint("/", i)), heaptest.Part("Accept: x"))
		q.Key.Authority = heaptest.Part(q.Key.Authority)
		_, why := fetch(t, c, q, "body", heaptest.Part("Cache-Control: max-age=60"), heaptest.Part("Vary: Accept"), heaptest.Part("X-Own: x"))
		require.Equal(t, WhyMiss, why)
	}
	require.Less(t, heaptest.InUse(), before+entries*heaptest.Large/4)
	require.Equal(t, entries, s.Stats().Entries)
}

// TestCacheHammer uses one store from many goroutines. An answer must be that of its target, its variant and its version.
func TestCacheHammer(t *testing.T) {
	s := NewStore(1 << 20)
	var all sync.WaitGroup
	var open []*Cache
	for service := range 2 {
		for version := range 2 {
			c := s.Open(fmt.Sprint("/", service))
			open = append(open, c)
			for worker := range 4 {
				all.Go(func() {
					random := rand.New(rand.NewPCG(uint64(service*2+version), uint64(worker)))
					for range 2000 {
						target, accept := fmt.Sprint("/", random.IntN(20)), fmt.Sprint("Accept: ", random.IntN(3))
						want := fmt.Sprint(service, version, target, accept, strings.Repeat("x", 20*len(accept)))
						switch random.IntN(50) {
						case 0:
							c.Invalidate(ask(target).Key)
						case 1:
							s.Purge(fmt.Sprint("/", service))
						}
						control := []string{"max-age=60", "max-age=60, stale-while-revalidate=9", "no-store"}[random.IntN(3)]
						if body, _ := fetch(t, c, ask(target, accept), want, "Cache-Control: "+control, "Vary: Accept"); body != want {
							t.Errorf("the answer to %s is %s", want, body)
						}
					}
				})
			}
		}
	}
	all.Wait()
	for _, c := range open {
		require.Empty(t, c.flights)
		c.Close()
	}
	requireEmpty(t, s)
}
