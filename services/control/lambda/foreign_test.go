package lambda

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/events"
)

// placedCatalogue has services that other hosts run for some time.
type placedCatalogue struct {
	moduleCatalogue
	elsewhere *atomic.Bool
}

func (c placedCatalogue) Away(routekey.Key) bool { return c.elsewhere.Load() }

// commonStore leaves events to other hosts, as a store of several hosts does. It counts what it leases.
type commonStore struct {
	events.Store
	leased int
}

func (s *commonStore) Take(ctx context.Context, most int, lease time.Duration, others ...string) ([]events.Taken, time.Duration, error) {
	if slices.Contains(others, "/fn") {
		return nil, lookEvery, nil
	}
	taken, wait, err := s.Store.Take(ctx, most, lease)
	s.leased += len(taken)
	return taken, wait, err
}

// TestEventsAreLeftToTheirHosts checks that a host takes no events of a service that others run, and takes them once it runs it.
func TestEventsAreLeftToTheirHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var elsewhere atomic.Bool
		elsewhere.Store(true)
		attempts := 0
		q := backlogOf(t, io.Discard, 1, func(_ context.Context, e *event) (time.Duration, error) {
			attempts++
			require.Equal(t, events.Progress{}, e.Progress)
			return 0, nil
		})
		common := &commonStore{Store: q.cfg.Events}
		q.cfg.Events, q.cfg.Catalogue, q.cfg.Shared = common, placedCatalogue{elsewhere: &elsewhere}, true
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { q.run(ctx) })
		for n := range 3 {
			require.NoError(t, q.accept(ctx, newEvent(fmt.Sprint(n), "1")))
			time.Sleep(time.Hour)
			synctest.Wait()
		}
		require.Zero(t, attempts)
		require.Equal(t, 1, common.leased, "it is given back, and no other is taken")
		elsewhere.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 3, attempts)
		stop()
		running.Wait()
	})
}

func TestForeignServicesAreBounded(t *testing.T) {
	var f foreign
	for n := range maxForeign {
		require.True(t, f.add(routekey.MustParse(fmt.Sprint("/", n))))
	}
	require.False(t, f.add(routekey.MustParse("/more")))
	require.True(t, f.add(routekey.MustParse("/7")), "it is known")
	all := f.names(func(key routekey.Key) bool { return key.Prefix != "/7" })
	require.Len(t, all, maxForeign-1)
	require.NotContains(t, all, "/7")
	require.True(t, f.add(routekey.MustParse("/more")))
}

// TestEventsThatNoHostSees checks that a host whose events others do not see accepts none that only others can run.
func TestEventsThatNoHostSees(t *testing.T) {
	var elsewhere atomic.Bool
	q := backlogOf(t, io.Discard, 1, nil)
	for _, shared := range []bool{false, true} {
		h := New(Config{Catalogue: placedCatalogue{elsewhere: &elsewhere}, Events: q.cfg.Events, Shared: shared})
		for _, away := range []bool{false, true} {
			elsewhere.Store(away)
			e := newEvent(fmt.Sprint(shared, away), `{"version":"2.0","rawPath":"/","requestContext":{"http":{"method":"GET","path":"/"}}}`)
			err := h.enqueue(t.Context(), e.target, callOf(*e.call), e.payload)
			if shared || !away {
				require.NoError(t, err)
				continue
			}
			var f *failure
			require.ErrorAs(t, err, &f)
			require.Equal(t, []any{503, "ServiceException"}, []any{f.status, f.errorType})
		}
	}
}
