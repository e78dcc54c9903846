package deploy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/plan"
)

// requireShares checks that a service serves the versions that have a share of its requests, and no others.
func (h *house) requireShares(service registry.Service) {
	h.t.Helper()
	entry, err := h.Inspect(service.Key)
	require.NoError(h.t, err)
	require.Equal(h.t, service, entry.Service)
	var live []registry.Number
	for _, v := range entry.Live {
		require.NoError(h.t, v.Problem)
		live = append(live, v.Number)
	}
	require.ElementsMatch(h.t, service.Live(), live)
	var texts []string
	for _, v := range service.Versions() {
		if service.Weight(v.Number) > 0 {
			text, err := h.Blob(context.Background(), v.Blobs[0].Digest)
			require.NoError(h.t, err)
			texts = append(texts, string(text))
		}
	}
	for range 8 * len(texts) {
		status, text := h.get(service.Key.String())
		require.Equal(h.t, http.StatusOK, status)
		require.Contains(h.t, texts, text)
	}
}

// requireConverged checks that the catalogue is valid, that each of its services serves its live versions, and that
// nothing else is left.
func (h *house) requireConverged() {
	h.t.Helper()
	h.retiring.Wait()
	state := h.cfg.Registry.State()
	require.NoError(h.t, state.Check())
	live := 0
	for _, service := range state.Services {
		h.requireShares(service)
		live += len(service.Live())
	}
	require.Len(h.t, h.List(), len(state.Services))
	require.Equal(h.t, live, h.kind.openCount())
	require.Empty(h.t, h.claims.taken)
	require.ElementsMatch(h.t, keysOf(state.Digests()), h.names(), "exactly the blobs of the catalogue are stored")
}

func keysOf[K comparable, V any](m map[K]V) (keys []K) {
	for key := range m {
		keys = append(keys, key)
	}
	return keys
}

// expected reports whether err may be returned by a random change.
func expected(err error) bool {
	for _, known := range []error{nil, registry.ErrNotFound, registry.ErrNoVersion, ErrDeclared, errInjected, plan.ErrNoCanary, plan.ErrServes} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// TestRandomChangesSideBySide makes random changes of few services from several goroutines, some of which fail. Then
// catalogue, table and deployments are the same.
func TestRandomChangesSideBySide(t *testing.T) {
	const workers, rounds = 6, 60
	h := booted(t, t.TempDir(), func(c *Config) { c.FileRules, c.MaxWaiters = true, workers })
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(worker)))
			prefix := func() string { return "/" + strconv.Itoa(r.IntN(4)) }
			text := func() string {
				if r.IntN(6) == 0 {
					return "unpreparable"
				}
				return strconv.Itoa(r.IntN(9))
			}
			for range rounds {
				err := h.randomChange(r, prefix, text)
				assert.True(t, expected(err), "%v", err)
			}
		})
	}
	all.Wait()
	h.apply("/0=a", "/last=b")
	h.requireServed("/last", "b")
	h.requireConverged()
}

func (h *house) randomChange(r *rand.Rand, prefix, text func() string) (err error) {
	ctx := context.Background()
	switch r.IntN(12) {
	case 0:
		return h.Remove(ctx, routekey.MustParse(prefix()))
	case 1:
		_, err = h.Rollback(ctx, routekey.MustParse(prefix()))
	case 2, 3, 4:
		return h.randomTraffic(r, routekey.MustParse(prefix()))
	case 5, 6, 7:
		key, how := routekey.MustParse(prefix()), How{Rollout: plan.Rollout{Weight: 1 + r.IntN(registry.Whole-1)}, DryRun: r.IntN(6) == 0}
		if r.IntN(2) == 0 {
			how.Rollout.For = time.Hour
		}
		_, err = h.Deploy(ctx, key, how, func(registry.Service) (services.Spec, error) { return spec(key, text()), nil })
		return err
	case 8:
		var declared []string
		for i := range 4 {
			if r.IntN(3) == 0 {
				declared = append(declared, fmt.Sprintf("/%d=%s", i, text()))
			}
		}
		_, err = h.Apply(ctx, specs(declared...))
	default:
		_, err = h.Add(ctx, spec(routekey.MustParse(prefix()), text()))
	}
	return err
}

// randomTraffic changes the shares of the versions of a service.
func (h *house) randomTraffic(r *rand.Rand, key routekey.Key) (err error) {
	service := h.cfg.Registry.State().Services[key]
	versions := service.Versions()
	switch n := versions[r.IntN(len(versions))].Number; r.IntN(4) {
	case 0:
		return h.Conclude(context.Background(), key, service.Canary, r.IntN(2) == 0, "by chance")
	case 1:
		_, err = h.RollbackToNumber(context.Background(), key, n)
	default:
		arms := []registry.Arm{{Number: n, Weight: registry.Whole}}
		for range r.IntN(3) {
			other := registry.Arm{Number: versions[r.IntN(len(versions))].Number, Weight: 1 + r.IntN(300)}
			if !slices.ContainsFunc(arms, func(a registry.Arm) bool { return a.Number == other.Number }) {
				arms[0].Weight -= other.Weight
				arms = append(arms, other)
			}
		}
		_, err = h.Split(context.Background(), key, registry.Split{Arms: arms})
	}
	return err
}

// TestChangesCount counts in the text of a service, from several goroutines: no change is lost.
func TestChangesCount(t *testing.T) {
	const workers, rounds = 4, 15
	h := booted(t, t.TempDir(), func(c *Config) { c.MaxWaiters = workers })
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range rounds {
				_, err := h.Change(t.Context(), routekey.MustParse("/count"), func(current registry.Service) (services.Spec, error) {
					if current.Key.IsZero() {
						return spec(routekey.MustParse("/count"), "1"), nil
					}
					text, err := h.Blob(t.Context(), current.Current.Blobs[0].Digest)
					n, _ := strconv.Atoi(string(text))
					return spec(routekey.MustParse("/count"), strconv.Itoa(n+1)), err
				})
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
	h.requireServed("/count", strconv.Itoa(workers*rounds))
	h.requireConverged()
}

// A deployment that is not published is closed while its service is claimed: the next one may need what it holds.
func TestFailedDeploymentIsClosedBeforeTheNext(t *testing.T) {
	h := booted(t, t.TempDir(), nil)
	h.add(routekey.MustParse("/a"), "one")
	var claimed []bool
	h.kind.failAt("close", func(context.Context) error {
		h.claims.mu.Lock()
		defer h.claims.mu.Unlock()
		claimed = append(claimed, h.claims.taken[routekey.MustParse("/a")])
		return nil
	})
	h.store.failAt("Commit", errInjected)
	_, err := h.Add(t.Context(), spec(routekey.MustParse("/a"), "two"))
	require.ErrorIs(t, err, errInjected)
	require.Equal(t, []bool{true}, claimed)
	h.kind.failAt("", nil)
}
