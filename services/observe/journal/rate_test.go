package journal

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Requests that end a little late, or after the clock was set back, neither use up their second nor escape its bound.
func TestRateOfRequests(t *testing.T) {
	var r rate
	keep := func(second int64, n int) (kept int) {
		for range n {
			if r.keep(second) {
				kept++
			}
		}
		return kept
	}
	require.Equal(t, RequestsPerSecond, keep(1000, 2*RequestsPerSecond))
	require.Equal(t, RequestsPerSecond-1, keep(1001, RequestsPerSecond-1))
	require.Equal(t, 1, keep(1000, 10), "late")
	require.Zero(t, keep(1001, 10))
	require.Equal(t, RequestsPerSecond, keep(500, 2*RequestsPerSecond), "set back")
	require.EqualValues(t, 2*RequestsPerSecond+19, r.skipped.Load())
}

// Concurrent requests are all kept or counted.
func TestConcurrentRequestsAreKeptOrCounted(t *testing.T) {
	const workers, each = 4, 2000
	j := opened(t, t.TempDir(), Config{})
	listen := j.Of("/a")
	var all sync.WaitGroup
	stop := make(chan struct{})
	var drains sync.WaitGroup
	drains.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				j.drain(true)
			}
		}
	})
	for range workers {
		all.Go(func() {
			for range each {
				listen(requestOf("/a", "1", false))
			}
		})
	}
	all.Wait()
	close(stop)
	drains.Wait()
	j.drain(true)
	kept, missing := 0, 0
	texts, _ := read(t, j, Filter{}, 1e5)
	for _, text := range texts {
		n := 0
		if _, err := fmt.Sscanf(text, "%d requests are missing", &n); err == nil {
			missing += n
			continue
		}
		kept++
	}
	require.Equal(t, workers*each, kept+missing)
	require.False(t, j.inbox("/a").dirty.Load())
}
