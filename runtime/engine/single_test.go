package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// When a server starts, services with the same module are prepared concurrently.
func TestSameModuleIsLoadedFromTheCacheByManyAtOnce(t *testing.T) {
	const rounds, loaders = 30, 4
	dir := t.TempDir()
	openWithCache(t, dir)
	module := decoded(t, guest(t, "start"))
	for range rounds {
		e := open(t, Config{Slots: loaders, CacheDir: dir})
		begin := make(chan struct{})
		var all sync.WaitGroup
		for range loaders {
			all.Go(func() {
				<-begin
				m, err := e.Compile(context.Background(), module, ModuleOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				in, err := m.Prepare(context.Background(), slot(t, e))
				if err != nil {
					t.Error(err)
					return
				}
				in.Close()
				if err := m.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		close(begin)
		all.Wait()
	}
}

func TestOneByOne(t *testing.T) {
	var o oneByOne
	var inside [2]atomic.Int32
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				release, err := o.acquire(context.Background(), codeID{byte(i % 2)})
				if err != nil || inside[i%2].Add(1) != 1 {
					t.Error("two at once, or ", err)
				}
				inside[i%2].Add(-1)
				release()
			}
		})
	}
	all.Wait()
	require.Empty(t, o.busy)

	release, err := o.acquire(context.Background(), codeID{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = o.acquire(ctx, codeID{})
	require.ErrorIs(t, err, context.Canceled)
	release()
}
