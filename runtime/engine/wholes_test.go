package engine

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Modules whose code is not known are read and compiled few at a time. Modules with the same code wait for each other
// without a deadlock.
func TestModulesAreReadAndCompiledFewAtATime(t *testing.T) {
	e := open(t, Config{CacheDir: t.TempDir(), Preparing: 2})
	var mu sync.Mutex
	reading, most := 0, 0
	var all sync.WaitGroup
	for i := range 12 {
		bin := guest(t, []string{"state", "start", "peek"}[i%3])
		r := decoded(t, bin).Reference()
		all.Go(func() {
			d, err := e.Recall(t.Context(), r, func() ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				reading++
				most = max(most, reading)
				return bin, nil
			})
			if err != nil {
				t.Error(err)
				return
			}
			m, err := e.Compile(t.Context(), d, ModuleOptions{})
			if d.turn != nil {
				mu.Lock()
				reading--
				mu.Unlock()
			}
			if err != nil {
				t.Error(err)
				return
			}
			if err := m.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, most, 2+2, "two, and those that have ended their turn just now")
	require.Empty(t, e.wholes)
}

// A turn ends with an error, too, and a caller that waits for one leaves with its context.
func TestTurnsEnd(t *testing.T) {
	e := open(t, Config{CacheDir: t.TempDir(), Preparing: 1})
	r := decoded(t, guest(t, "start")).Reference()
	_, err := e.Recall(t.Context(), r, func() ([]byte, error) { return nil, context.DeadlineExceeded })
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = e.Recall(t.Context(), r, func() ([]byte, error) { return []byte("no module"), nil })
	require.Error(t, err)
	turn, err := e.wholes.enter(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = e.Recall(ctx, r, nil)
	require.ErrorIs(t, err, context.Canceled)
	_, err = e.Compile(ctx, decoded(t, guest(t, "start")), ModuleOptions{})
	require.ErrorIs(t, err, context.Canceled)
	turn.leave()
	turn.leave()
	require.Empty(t, e.wholes)
}
