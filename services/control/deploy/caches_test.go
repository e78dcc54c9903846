package deploy

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/router/cache"
	"github.com/vespo-dev/vespo/services"
)

// lastingKind is textKind with answers that may be kept.
type lastingKind struct{ *textKind }

func (k lastingKind) Prepare(ctx context.Context, s services.Spec) (services.Deployment, error) {
	d, err := k.textKind.Prepare(ctx, s)
	return lasting{d}, err
}

type lasting struct{ services.Deployment }

func (l lasting) Serve(w http.ResponseWriter, r *router.Request, res *accesslog.Result) error {
	w.Header().Set("Cache-Control", "max-age=60")
	return l.Deployment.Serve(w, r, res)
}

// withCache boots a house whose services can keep answers.
func withCache(t *testing.T) (*house, *cache.Store) {
	store := cache.NewStore(1 << 20)
	h := booted(t, t.TempDir(), func(c *Config) {
		c.Cache, c.Kinds = store, []services.Kind{lastingKind{c.Kinds[0].(*textKind)}}
	})
	return h, store
}

// kept returns the spec of a text at /a with a cache.
func kept(text string) services.Spec {
	s := spec(routekey.MustParse("/a"), text)
	s.Manifest = `{"cache":true}`
	return s
}

func TestEachVersionHasACacheOfItsOwn(t *testing.T) {
	h, store := withCache(t)
	ctx := t.Context()
	hits := uint64(0)
	serves := func(want string) {
		t.Helper()
		for range 2 {
			h.requireServed("/a", want)
		}
		hits++
		require.Equal(t, hits, store.Stats().Hits)
		require.Equal(t, 1, store.Stats().Entries, "those of retired versions are gone")
	}
	_, err := h.Add(ctx, kept("one"))
	require.NoError(t, err)
	serves("one")
	_, err = h.Add(ctx, kept("two"))
	require.NoError(t, err)
	serves("two")
	_, err = h.Rollback(ctx, routekey.MustParse("/a"))
	require.NoError(t, err)
	serves("one")
	_, err = h.Add(ctx, spec(routekey.MustParse("/a"), "three"))
	require.NoError(t, err)
	h.requireServed("/a", "three")
	h.requireServed("/a", "three")
	require.Zero(t, store.Stats().Entries)
	require.Equal(t, hits, store.Stats().Hits)
	require.NoError(t, h.Remove(ctx, routekey.MustParse("/a")))
	h.end()
	require.Zero(t, store.Stats().UsedBytes)
	require.Zero(t, store.Purge("/a"))
}

// TestVersionsOfASplitShareNoAnswers asks with values of a header that select a version.
func TestVersionsOfASplitShareNoAnswers(t *testing.T) {
	h, store := withCache(t)
	ctx, a := t.Context(), routekey.MustParse("/a")
	for _, text := range []string{"one", "two"} {
		_, err := h.Add(ctx, kept(text))
		require.NoError(t, err)
	}
	_, err := h.Split(ctx, a, registry.Split{
		Arms:   []registry.Arm{{Number: 1, Weight: 500}, {Number: 2, Weight: 500}},
		Sticky: registry.Sticky{Header: "X-User"},
	})
	require.NoError(t, err)
	served := map[string]string{}
	bodies := map[string]int{}
	for i := range 100 {
		user := fmt.Sprint(i % 50)
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/a", nil)
		r.Header.Set("X-User", user)
		h.router.ServeHTTP(w, r)
		if i >= 50 {
			require.Equal(t, served[user], w.Body.String())
		}
		served[user] = w.Body.String()
		bodies[w.Body.String()]++
	}
	require.Len(t, bodies, 2)
	require.EqualValues(t, 98, store.Stats().Hits)
	removed, err := h.PurgeCache(a)
	require.NoError(t, err)
	require.Equal(t, 2, removed)
	_, err = h.PurgeCache(routekey.MustParse("/b"))
	require.ErrorIs(t, err, registry.ErrNotFound)
}

func TestCachesThatAreRefused(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	require.ErrorContains(t, h.Validate(kept("one")), "cache is given, and this server keeps no answers: --cache-memory is 0")
	removed, err := h.PurgeCache(h.add(routekey.MustParse("/a"), "one").Service.Key)
	require.NoError(t, err)
	require.Zero(t, removed)

	layers := booted(t, t.TempDir(), func(c *Config) {
		c.Cache, c.Middleware = cache.NewStore(1<<20), textLayers{&textKind{name: "layers"}}
	})
	both := chained("body", "outer ")
	require.NoError(t, layers.Validate(both))
	both.Manifest = `{"cache":true}`
	require.ErrorContains(t, layers.Validate(both), "cache cannot be given together with use")
}
