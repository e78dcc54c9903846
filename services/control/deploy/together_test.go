package deploy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

// record returns a record that counts.
func record(n int) registry.Record {
	return registry.Record{Kind: "counter", Manifest: registry.Manifest(fmt.Sprintf(`{"n":%d}`, n))}
}

func set(r registry.Record) Edit {
	return func(registry.Record) (registry.Record, error) { return r, nil }
}

// together carries out changes that do not depend on the state.
func (h *house) together(c Changes) ([]Result, error) {
	return h.Transact(context.Background(), nil, func(*registry.State) (Changes, error) { return c, nil })
}

// TestTransact changes services and a record in one commit.
func TestTransact(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	h.add(routekey.MustParse("/old"), "old")
	before := h.cfg.Registry.State().Generation
	results, err := h.together(Changes{
		Deploy:  []services.Spec{spec(routekey.MustParse("/a"), "one"), spec(routekey.MustParse("/b"), "two")},
		Remove:  []routekey.Key{routekey.MustParse("/old")},
		Records: map[string]Edit{"counter/x": set(record(1))},
	})
	require.NoError(t, err)
	require.Len(t, results, 2)
	h.requireServed("/a", "one")
	h.requireServed("/b", "two")
	status, _ := h.get("/old")
	require.Equal(t, 404, status)
	require.Equal(t, record(1), h.Record("counter/x"))
	require.Equal(t, before+4, h.cfg.Registry.State().Generation)

	_, err = h.together(Changes{Records: map[string]Edit{"counter/x": set(registry.Record{})}})
	require.NoError(t, err)
	require.Empty(t, h.cfg.Registry.State().Records)
	same := h.cfg.Registry.State()
	_, err = h.together(Changes{Records: map[string]Edit{"counter/x": set(registry.Record{})}})
	require.NoError(t, err)
	require.Same(t, same, h.cfg.Registry.State(), "no change, no commit")
}

// TestTransactChangesAllOrNothing fails transactions in every part.
func TestTransactChangesAllOrNothing(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	h.add(routekey.MustParse("/a"), "one")
	_, err := h.together(Changes{Records: map[string]Edit{"counter/x": set(record(1))}})
	require.NoError(t, err)
	before, onDisk := h.cfg.Registry.State(), h.onDisk()
	refused := errors.New("no")
	good := func() Changes {
		return Changes{
			Deploy:  []services.Spec{spec(routekey.MustParse("/a"), "two")},
			Records: map[string]Edit{"counter/x": set(record(2))},
		}
	}
	for name, fail := range map[string]struct {
		with func(*Changes)
		want error
	}{
		"edit": {func(c *Changes) {
			c.Records["counter/y"] = func(r registry.Record) (registry.Record, error) { return r, refused }
		}, refused},
		"record":  {func(c *Changes) { c.Records["counter/y"] = set(registry.Record{Kind: "k", Manifest: "[]"}) }, registry.ErrRecord},
		"require": {func(c *Changes) { c.Require = []routekey.Key{routekey.MustParse("/a"), routekey.MustParse("/none")} }, registry.ErrNotFound},
		"remove":  {func(c *Changes) { c.Remove = []routekey.Key{routekey.MustParse("/none")} }, registry.ErrNotFound},
		"prepare": {func(c *Changes) { c.Deploy = append(c.Deploy, specOf("none", routekey.MustParse("/b"), "")) }, ErrInvalid},
		"commit":  {func(*Changes) { h.store.failAt("Commit", errInjected) }, errInjected},
	} {
		c := good()
		fail.with(&c)
		_, err := h.together(c)
		require.ErrorIs(t, err, fail.want, name)
		require.Same(t, before, h.cfg.Registry.State(), name)
		require.Equal(t, onDisk, h.onDisk(), name)
		h.requireServed("/a", "one")
		h.store.failAt("", nil)
	}
	_, err = h.together(good())
	require.NoError(t, err)
}

// TestEditsLast edits one record from many goroutines, some of them with a deploy. No edit is lost, and each deploy
// comes with its edit.
func TestEditsLast(t *testing.T) {
	const workers, rounds = 6, 10
	h := booted(t, t.TempDir(), func(c *Config) { c.MaxWaiters = workers })
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			for range rounds {
				key := routekey.MustParse("/" + strconv.Itoa(worker))
				_, err := h.Transact(t.Context(), []routekey.Key{key}, func(s *registry.State) (Changes, error) {
					c := Changes{Records: map[string]Edit{"counter/x": func(r registry.Record) (registry.Record, error) {
						n := 0
						_, _ = fmt.Sscanf(string(r.Manifest), `{"n":%d}`, &n) // of no record: 0
						return record(n + 1), nil
					}}}
					if worker%2 == 0 {
						c.Deploy = []services.Spec{spec(key, fmt.Sprint(s.Services[key].Current.Generation))}
					}
					return c, nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, record(workers*rounds), h.Record("counter/x"))
}
