package deploy

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

func withFile(c *Config) { c.FileRules = true }

// specs parses "PREFIX=TEXT" declarations.
func specs(declared ...string) (all []services.Spec) {
	for _, d := range declared {
		prefix, text, _ := strings.Cut(d, "=")
		all = append(all, spec(routekey.Stored(prefix), text))
	}
	return all
}

func (h *house) apply(declared ...string) Applied {
	h.t.Helper()
	applied, err := h.Apply(context.Background(), specs(declared...))
	require.NoError(h.t, err)
	return applied
}

func prefixesOf(applied Applied) (all []routekey.Key) {
	for _, r := range applied.Deployed {
		all = append(all, r.Service.Key)
	}
	return all
}

func TestApplyIsOneTransaction(t *testing.T) {
	h := booted(t, t.TempDir(), withFile)
	h.add(routekey.MustParse("/api"), "by the api")
	applied := h.apply("/a=1", "/b=1", "/c=1")
	require.Equal(t, []routekey.Key{routekey.MustParse("/a"), routekey.MustParse("/b"), routekey.MustParse("/c")}, prefixesOf(applied))
	before := h.cfg.Registry.State()

	require.Empty(t, h.apply("/c=1", "/a=1", "/b=1"), "nothing is different")
	require.Same(t, before, h.cfg.Registry.State())

	applied = h.apply("/a=1", "/b=2", "/d=1")
	require.Equal(t, []routekey.Key{routekey.MustParse("/b"), routekey.MustParse("/d")}, prefixesOf(applied))
	require.False(t, applied.Deployed[0].Created)
	require.Equal(t, []routekey.Key{routekey.MustParse("/c")}, applied.Removed)
	h.requireServed("/a", "1")
	h.requireServed("/b", "2")
	h.requireServed("/d", "1")
	h.requireServed("/api", "by the api")
	status, _ := h.get("/c")
	require.Equal(t, http.StatusNotFound, status)
	require.NoError(t, h.cfg.Registry.State().Check())

	h.apply()
	require.Len(t, h.List(), 1)
	h.requireServed("/api", "by the api")
}

// A failure at any step leaves everything unchanged, and all reasons are reported.
func TestApplyOfAFailureChangesNothing(t *testing.T) {
	h := booted(t, t.TempDir(), withFile)
	h.apply("/a=1", "/b=1")
	before := h.cfg.Registry.State()
	unchanged := func(err error) {
		t.Helper()
		require.Error(t, err)
		require.Same(t, before, h.cfg.Registry.State())
		h.requireServed("/a", "1")
		h.requireServed("/b", "1")
		require.Equal(t, 2, h.kind.openCount())
	}
	for _, c := range []struct {
		declared []string
		failing  []int
	}{
		{[]string{"/a=2", "/b=2", "/c=unpreparable"}, []int{2}},
		{[]string{"/a=unpreparable 1", "/new=1", "/c=unpreparable 2"}, []int{0, 2}},
		{[]string{"/a=bad", "/c=1", "/d=bad"}, []int{0, 2}},
		{[]string{"/a=2", "/b=1", "/a=3"}, []int{2}},
		{[]string{"/services=1", "a=1"}, []int{0, 1}},
	} {
		_, err := h.Apply(context.Background(), specs(c.declared...))
		unchanged(err)
		unchanged(h.Rehearse(context.Background(), specs(c.declared...), "text"))
		var refused *ApplyError
		require.ErrorAs(t, err, &refused)
		var failing []int
		for _, f := range refused.Failures {
			failing = append(failing, f.Index)
			require.Error(t, f.Err)
		}
		require.Equal(t, c.failing, failing)
	}
	for _, method := range []string{"Put", "Commit"} {
		h.store.failAt(method, errInjected)
		_, err := h.Apply(context.Background(), specs("/a=2", "/c=2"))
		unchanged(err)
		require.ErrorIs(t, err, errInjected)
	}
	h.store.failAt("none", nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := h.Apply(ctx, specs("/a=2"))
	unchanged(err)
	require.NoError(t, h.Rehearse(context.Background(), specs("/a=2", "/z=3"), "text"))
	require.NoError(t, h.Rehearse(context.Background(), specs("/a=unpreparable")), "a kind that is not named is validated alone")
	require.Same(t, before, h.cfg.Registry.State())
	require.Equal(t, 2, h.kind.openCount())
}

func TestWhatTheFileDeclaresTheAPIDoesNotChange(t *testing.T) {
	dir := t.TempDir()
	h := booted(t, dir, withFile)
	h.add(routekey.MustParse("/taken"), "by the api")
	applied := h.apply("/taken=by the file", "/a=1")
	require.Equal(t, []routekey.Key{routekey.MustParse("/taken")}, applied.TakenOver)
	h.requireServed("/taken", "by the file")
	refused := func(err error) {
		t.Helper()
		var told *problem.Problem
		require.ErrorAs(t, err, &told)
		require.Equal(t, problem.Conflict, told.Kind())
		require.ErrorIs(t, err, ErrDeclared)
	}
	_, err := h.Add(context.Background(), spec(routekey.MustParse("/a"), "2"))
	refused(err)
	refused(h.Remove(context.Background(), routekey.MustParse("/a")))
	_, err = h.Rollback(context.Background(), routekey.MustParse("/taken"))
	refused(err)
	h.requireServed("/a", "1")
	h.end()

	// Without a file the API may change its services. A rollback to a version of the file does not make it
	// trusted.
	h = booted(t, dir, nil)
	h.requireServed("/a", "1")
	h.add(routekey.MustParse("/a"), "2")
	result, err := h.Rollback(context.Background(), routekey.MustParse("/a"))
	require.NoError(t, err)
	require.Equal(t, registry.OriginAPI, result.Service.Current.Origin)
	for _, s := range h.kind.specs[len(h.kind.specs)-2:] {
		require.False(t, s.Trusted())
	}
}

func TestSpecsOfTheFileAreTrusted(t *testing.T) {
	dir := t.TempDir()
	h := booted(t, dir, withFile)
	h.apply("/a=1")
	require.True(t, h.kind.specs[0].Trusted())
	h.end()
	h = booted(t, dir, withFile)
	require.True(t, h.kind.specs[0].Trusted(), "after a restart too")
	require.Empty(t, h.apply("/a=1"))
	h.end()
	h = booted(t, dir, nil)
	require.False(t, h.kind.specs[0].Trusted(), "without the file nobody vouches for them")
}

// Apply waits for its turn, no matter how many deploys are waiting.
func TestApplyIsNotTurnedAway(t *testing.T) {
	h := booted(t, t.TempDir(), func(c *Config) { c.FileRules, c.MaxWaiters, c.PrepareParallel = true, 1, 1 })
	began, proceed := make(chan struct{}, 2), make(chan struct{})
	h.kind.failAt("prepare", func(context.Context) error {
		began <- struct{}{}
		<-proceed
		return nil
	})
	var all sync.WaitGroup
	for _, key := range []routekey.Key{routekey.MustParse("/a"), routekey.MustParse("/b")} { // one runs, one waits
		all.Go(func() {
			_, err := h.Add(context.Background(), spec(key, "1"))
			require.NoError(t, err)
		})
	}
	<-began
	for h.waiters.Load() == 0 {
		runtime.Gosched()
	}
	_, err := h.Add(context.Background(), spec(routekey.MustParse("/c"), "1"))
	require.ErrorIs(t, err, ErrBusy)
	all.Go(func() {
		_, err := h.Apply(context.Background(), specs("/d=1"))
		require.NoError(t, err)
	})
	close(proceed)
	all.Wait()
	h.requireServed("/d", "1")
}

// A service with an unchanged declaration is prepared again if its preparation had failed.
func TestApplyMendsWhatFailed(t *testing.T) {
	dir := t.TempDir()
	h := booted(t, dir, withFile)
	h.apply("/a=1")
	h.end()
	h = unbooted(t, dir, withFile)
	h.kind.failAt("prepare", func(context.Context) error { return errInjected })
	require.NoError(t, h.Boot(context.Background()))
	status, _ := h.get("/a")
	require.Equal(t, http.StatusServiceUnavailable, status)
	h.kind.failAt("none", nil)
	require.Len(t, h.apply("/a=1").Deployed, 1)
	h.requireServed("/a", "1")
}

// Two services always change together: a request for the second that follows one for the first never sees an
// older version.
func TestApplyLosesAndMixesNothing(t *testing.T) {
	h := booted(t, t.TempDir(), withFile)
	h.apply("/a=0", "/b=0")
	var stop atomic.Bool
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				status, first := h.get("/a")
				status2, second := h.get("/b")
				if status != http.StatusOK || status2 != http.StatusOK || second < first {
					t.Errorf("%d %q, then %d %q", status, first, status2, second)
					return
				}
			}
		})
	}
	for i := range 200 {
		text := string(rune('0' + i/4))
		h.apply("/a="+text, "/b="+text)
		if i%10 == 0 {
			_, err := h.Apply(context.Background(), specs("/a=zzz", "/b=unpreparable"))
			require.Error(t, err)
			require.True(t, errors.Is(err, errInjected))
		}
	}
	stop.Store(true)
	clients.Wait()
}
