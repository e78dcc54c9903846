package deploy

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// drains collects Events.Retired.
type drains struct {
	mu  sync.Mutex
	all map[registry.Generation]Drain // guarded by mu
}

func (d *drains) listen(c *Config) {
	d.all = make(map[registry.Generation]Drain)
	c.Events.Retired = func(_ routekey.Key, g registry.Generation, drain Drain) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.all[g] = drain
	}
}

func (d *drains) seen() map[registry.Generation]Drain {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := make(map[registry.Generation]Drain)
	for g, drain := range d.all {
		seen[g] = drain
	}
	return seen
}

func TestRequestsInFlightEndOnTheirVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var retired drains
		h := booted(t, t.TempDir(), retired.listen)
		defer h.end()
		h.add(routekey.MustParse("/a"), "one")
		onOne := h.pause("/a")
		h.add(routekey.MustParse("/a"), "two")
		onTwo := h.pause("/a")
		require.NoError(t, h.Remove(context.Background(), routekey.MustParse("/a")))
		synctest.Wait()
		require.Equal(t, 2, h.kind.openCount(), "both have a request")
		require.Empty(t, retired.seen())

		close(h.kind.hold)
		require.Equal(t, "one", <-onOne)
		require.Equal(t, "two", <-onTwo)
		synctest.Wait()
		require.Zero(t, h.kind.openCount())
		require.Equal(t, map[registry.Generation]Drain{1: {}, 2: {}}, retired.seen())
	})
}

func TestRequestsThatOutliveTheDrainAreStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var retired drains
		h := booted(t, t.TempDir(), func(c *Config) {
			retired.listen(c)
			c.RetireAfter = time.Minute
		})
		defer h.end()
		h.add(routekey.MustParse("/a"), "one")
		answer := h.pause("/a")
		h.add(routekey.MustParse("/a"), "two")
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		require.Empty(t, retired.seen())
		time.Sleep(time.Nanosecond)
		require.Contains(t, <-answer, "stopped")
		synctest.Wait()
		require.Equal(t, map[registry.Generation]Drain{1: {Forced: true}}, retired.seen())
		h.requireServed("/a", "two")
	})
}

func TestFailureToCloseIsReported(t *testing.T) {
	for name, fail := range map[string]struct {
		step func(context.Context) error
		want error
	}{
		"error": {func(context.Context) error { return errInjected }, errInjected},
		"panic": {func(context.Context) error { panic("injected") }, ErrPanic},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var retired drains
				h := booted(t, t.TempDir(), retired.listen)
				defer h.end()
				h.add(routekey.MustParse("/a"), "one")
				h.kind.failAt("close", fail.step)
				h.add(routekey.MustParse("/a"), "two")
				synctest.Wait()
				require.ErrorIs(t, retired.seen()[1].Err, fail.want)
			})
		})
	}
}

func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := booted(t, t.TempDir(), nil)
		h.add(routekey.MustParse("/a"), "one")
		h.add(routekey.MustParse("/b"), "two")
		answer := h.pause("/a")
		closed := make(chan error, 1)
		go func() { closed <- h.Close(context.Background()) }()
		synctest.Wait()

		require.False(t, h.Ready())
		status, body := h.get("/b")
		require.Equal(t, http.StatusServiceUnavailable, status)
		require.Contains(t, body, problem.NotReady.Type())
		_, err := h.Add(context.Background(), spec(routekey.MustParse("/a"), "three"))
		require.ErrorIs(t, err, ErrClosed)
		requireKind(t, problem.NotReady, err)
		require.Equal(t, 1, h.kind.openCount())

		close(h.kind.hold)
		require.Equal(t, "one", <-answer)
		require.NoError(t, <-closed)
		h.end()
	})
}

func TestCloseStopsWhatOutlivesItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := booted(t, t.TempDir(), nil)
		h.add(routekey.MustParse("/a"), "one")
		h.add(routekey.MustParse("/b"), "two")
		answer := h.pause("/a")
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		require.ErrorIs(t, h.Close(ctx), ErrCutOff)
		require.Equal(t, 3*time.Second, time.Since(begun))
		require.Contains(t, <-answer, "stopped")
		require.Zero(t, h.kind.openCount())
		require.NoError(t, h.Close(ctx), "a second time there is nothing to do")
		h.end()
	})
}

func TestCloseBreaksDeploysOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := booted(t, t.TempDir(), nil)
		h.add(routekey.MustParse("/a"), "one")
		h.kind.failAt("prepare", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		results := make(chan error, 2)
		for range 2 { // one in progress, one waiting for it
			go func() {
				_, err := h.Add(context.Background(), spec(routekey.MustParse("/a"), "two"))
				results <- err
			}()
		}
		synctest.Wait()
		h.end()
		require.ErrorIs(t, <-results, ErrClosed)
		require.ErrorIs(t, <-results, ErrClosed)
	})
}

func TestPrepareThatTakesTooLongIsBrokenOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := booted(t, t.TempDir(), func(c *Config) { c.PrepareTimeout = time.Minute })
		defer h.end()
		h.kind.failAt("prepare", func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		begun := time.Now()
		_, err := h.Add(context.Background(), spec(routekey.MustParse("/a"), "one"))
		requireKind(t, problem.Deadline, err)
		require.Equal(t, time.Minute, time.Since(begun))
	})
}

// The resources of an old version are reported while it has requests, and the number of old versions is
// bounded.
func TestRetiringVersionsAreCountedAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var retired drains
		h := booted(t, t.TempDir(), func(c *Config) {
			retired.listen(c)
			c.MaxRetired = 2
		})
		defer h.end()
		var answers []<-chan string
		for i, text := range []string{"one", "two", "three", "four"} {
			h.add(routekey.MustParse("/a"), text)
			if i < 3 {
				answers = append(answers, h.pause("/a"))
			}
			if i == 1 {
				answers = append(answers, h.pause("/a"))
				entry, err := h.Inspect(routekey.MustParse("/a"))
				require.NoError(t, err)
				require.Equal(t, Retiring{Versions: 1, Requests: 1}, entry.Retiring)
			}
		}
		require.Contains(t, <-answers[0], "stopped", "the oldest makes room")
		synctest.Wait()
		require.Equal(t, map[registry.Generation]Drain{1: {Forced: true}}, retired.seen())
		entry, err := h.Inspect(routekey.MustParse("/a"))
		require.NoError(t, err)
		require.Equal(t, Retiring{Versions: 2, Requests: 3}, entry.Retiring)
		time.Sleep(59 * time.Minute) // below the default
		close(h.kind.hold)
		require.Equal(t, "two", <-answers[1])
		require.Equal(t, "two", <-answers[2])
		require.Equal(t, "three", <-answers[3])
		synctest.Wait()
		entry, err = h.Inspect(routekey.MustParse("/a"))
		require.NoError(t, err)
		require.Zero(t, entry.Retiring)
	})
}

// Collections that are asked for during one are carried out together, after it.
func TestCollectionsAreJoined(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	var lists atomic.Int32
	begun, proceed := make(chan struct{}, 2), make(chan struct{})
	h.store.onList(func() {
		lists.Add(1)
		begun <- struct{}{}
		<-proceed
	})
	h.retiring.Go(h.collectGarbage)
	<-begun
	_, release, err := h.cfg.Registry.PutBlob(t.Context(), []byte("orphan"))
	require.NoError(t, err)
	release()
	for range 10 {
		h.collectGarbage()
	}
	close(proceed)
	h.retiring.Wait()
	require.EqualValues(t, 2, lists.Load())
	require.Empty(t, h.names())
	h.store.onList(nil)
}
