package enginetest

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/storetest"
)

// Add adds 1 to the key "n" of the store "a".
func Add(ctx context.Context, s kv.Stores) error {
	_, err := s.Write(ctx, "a", []kv.Change{{Op: kv.OpAdd, Key: "n", Delta: 1}})
	return err
}

// Put sets a key of the store "a".
func Put(t testing.TB, s kv.Stores, key, value string) error {
	_, err := s.Write(t.Context(), "a", []kv.Change{storetest.Put(key, value)})
	return err
}

// Value returns the value of a key of the store "a".
func Value(t testing.TB, s kv.Stores, key string) string {
	t.Helper()
	e, err := s.Get(t.Context(), "a", key)
	require.NoError(t, err)
	return string(e.Value)
}

// Number returns the sum of all Add.
func Number(t testing.TB, s kv.Stores) int64 {
	t.Helper()
	n, err := strconv.ParseInt(Value(t, s, "n"), 10, 64)
	require.NoError(t, err)
	return n
}

// Eventually calls f until it succeeds.
func Eventually(t testing.TB, f func() error) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) { require.NoError(c, f()) }, time.Minute, 5*time.Millisecond)
}

// Restarts has clients count while an engine is restarted, each time after some writes. All acknowledged writes stay, and all
// that were refused have no effect.
func Restarts(t *testing.T, s kv.Stores, clients, times int, writes int64, restart func()) {
	require.NoError(t, Add(t.Context(), s))
	var acknowledged, uncertain atomic.Int64
	acknowledged.Store(1)
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for ctx.Err() == nil {
				switch err := Add(t.Context(), s); {
				case err == nil:
					acknowledged.Add(1)
				case errors.Is(err, kv.ErrUncertain):
					uncertain.Add(1)
				default:
					assert.ErrorIs(t, err, kv.ErrUnavailable)
				}
			}
		})
	}
	for range times {
		before := acknowledged.Load()
		require.Eventually(t, func() bool { return acknowledged.Load() > before+writes }, time.Minute, time.Millisecond)
		restart()
	}
	before := acknowledged.Load()
	require.Eventually(t, func() bool { return acknowledged.Load() > before }, time.Minute, time.Millisecond)
	stop()
	group.Wait()
	n := Number(t, s)
	require.GreaterOrEqual(t, n, acknowledged.Load())
	require.LessOrEqual(t, n, acknowledged.Load()+uncertain.Load())
}
