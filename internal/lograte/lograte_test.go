package lograte

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(1000)
		logged, dropped, reports := 0, 0, 0
		log := func(n int) {
			for range n {
				told, ok := l.Take(100)
				if ok {
					logged++
				} else {
					dropped++
				}
				if told > 0 {
					reports++
				}
			}
		}
		log(1000)
		require.Equal(t, 10*BurstSeconds, logged, "a burst")
		require.Zero(t, reports)
		for range 60 {
			time.Sleep(time.Second)
			log(100)
		}
		require.InDelta(t, 10*BurstSeconds+600, logged, 2, "the rate")
		require.InDelta(t, 6, reports, 1)
		require.Equal(t, Stats{Logged: int64(logged), Dropped: int64(dropped)}, l.Stats())
		time.Sleep(time.Hour)
		logged = 0
		log(1000)
		require.Equal(t, 10*BurstSeconds, logged, "a long calm is worth a burst")
	})
}

// Each dropped line is reported once.
func TestReportsAreComplete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(100)
		var dropped, told int64
		for range 500 {
			n, ok := l.Take(90)
			if told += n; !ok {
				dropped++
			}
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(ToldInterval)
		n, ok := l.Take(1)
		require.True(t, ok)
		require.Equal(t, dropped, told+n)
		require.Positive(t, dropped)
	})
}

// TestAllows checks that a line follows the report of the lines dropped before it.
func TestAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := slog.New(slog.NewTextHandler(&out, nil))
		l := New(10)
		require.True(t, l.Allows(log, "the service", 10*BurstSeconds))
		for range 3 {
			require.False(t, l.Allows(log, "the service", 1))
		}
		require.Empty(t, out.String())
		time.Sleep(ToldInterval)
		require.True(t, l.Allows(log, "the service", 1))
		require.Contains(t, out.String(), `msg="the service logs more than --log-rate allows; lines were dropped" dropped=3`)
	})
}

func TestNoLimit(t *testing.T) {
	l := New(0)
	for range 1000 {
		_, ok := l.Take(1 << 30)
		require.True(t, ok)
	}
}

func TestHammer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(1000)
		var logged atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 1000 {
					if _, ok := l.Take(10); ok {
						logged.Add(1)
					}
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 100*BurstSeconds, logged.Load())
	})
}
