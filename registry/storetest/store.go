// Package storetest has the tests that every registry.Store and registry.BlobStore must pass, and stores in memory
// for tests of their users.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// Medium is where a Store keeps its state. Each test gets an empty one of its own.
type Medium struct {
	// Open opens the store. It is called again after the returned function has closed it, and must then return
	// a store with the same content.
	Open func(t *testing.T) (store registry.Store, done func())
	// Volatile is set if the content is lost with the store.
	Volatile bool
}

// Run runs the tests of a registry.Store.
func Run(t *testing.T, medium func(t *testing.T) Medium) {
	for name, test := range map[string]func(*testing.T, Medium){
		"EmptyAtFirst":  emptyAtFirst,
		"Commit":        commit,
		"StaleBase":     staleBase,
		"Cancelled":     cancelled,
		"InvalidState":  invalidState,
		"OneOfManyWins": oneOfManyWins,
		"Watch":         watch,
		"WatchLatest":   watchLatest,
		"WatchMany":     watchMany,
		"Model":         model,
		"Content":       content,
	} {
		t.Run(name, func(t *testing.T) { test(t, medium(t)) })
	}
}

// opened is an open store with its current state.
type opened struct {
	registry.Store
	state *registry.State
	close func()
}

func open(t *testing.T, m Medium) *opened {
	t.Helper()
	store, done := m.Open(t)
	loaded, err := store.Load(t.Context())
	require.NoError(t, err)
	require.Empty(t, loaded.Problems)
	require.NotNil(t, loaded.State)
	return &opened{Store: store, state: loaded.State, close: sync.OnceFunc(done)}
}

// commit commits next, which must succeed.
func (o *opened) commit(t *testing.T, next *registry.State) {
	t.Helper()
	require.NoError(t, o.Commit(t.Context(), o.state, next))
	o.state = next
}

// reopened closes the store, opens it again and requires the same content.
func (o *opened) reopened(t *testing.T, m Medium) *opened {
	t.Helper()
	if m.Volatile {
		return o
	}
	o.close()
	again := open(t, m)
	requireSame(t, o.state, again.state)
	return again
}

// requireSame requires equal states. An empty collection may come back as nil.
func requireSame(t *testing.T, want, got *registry.State) {
	t.Helper()
	require.Equal(t, want.Generation, got.Generation)
	require.Len(t, got.Services, len(want.Services))
	for key, service := range want.Services {
		require.Equal(t, service, got.Services[key])
	}
	require.Equal(t, want.Records, got.Records)
}

// version returns a version with a text as its module.
func version(text string) registry.Version {
	return registry.Version{
		Kind:     "wasm",
		Manifest: registry.EmptyManifest,
		Blobs: []registry.Blob{{
			Field:     "module",
			Digest:    registry.DigestOf([]byte(text)),
			SizeBytes: int64(len(text)),
		}},
		Deployed: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC),
	}
}

// record returns a record with a number.
func record(n int) registry.Record {
	return registry.Record{
		Kind:     "k",
		Manifest: registry.Manifest(fmt.Sprintf(`{"n":%d,"text":"<&>"}`, n)),
		Blobs:    []registry.Digest{registry.DigestOf([]byte{byte(n)})},
	}
}

func put(s *registry.State, key routekey.Key, text string) *registry.State {
	next, _ := s.Put(key, version(text))
	return next
}

func emptyAtFirst(t *testing.T, m Medium) {
	o := open(t, m)
	require.Zero(t, o.state.Generation)
	require.Empty(t, o.state.Services)
	o = o.reopened(t, m)
	o.commit(t, put(o.state, routekey.MustParse("/a"), "one"))
	o.close()
}

func commit(t *testing.T, m Medium) {
	o := open(t, m)
	for i := range 5 {
		o.commit(t, put(o.state, routekey.MustParse("/"+string(rune('a'+i%2))), fmt.Sprint(i)))
		o = o.reopened(t, m)
	}
	removed, err := o.state.Remove(routekey.MustParse("/a"))
	require.NoError(t, err)
	o.commit(t, put(removed, routekey.MustParse("/c"), "two changes in one commit"))
	o = o.reopened(t, m)
	for _, r := range []registry.Record{record(1), record(2), {}, {}} { // the last two remove it
		next := put(o.state, routekey.MustParse("/d"), "with a record").PutRecord("k/x", r)
		o.commit(t, next.PutRecord("k/y", record(3)))
		o = o.reopened(t, m)
	}
	o.close()
}

func staleBase(t *testing.T, m Medium) {
	o := open(t, m)
	empty := o.state
	first := put(empty, routekey.MustParse("/a"), "one")
	o.commit(t, first)
	second := put(first, routekey.MustParse("/a"), "two")
	o.commit(t, second)
	other := put(first, routekey.MustParse("/b"), "of another writer")
	for name, c := range map[string]struct{ base, next *registry.State }{
		"the empty state":       {empty, put(empty, routekey.MustParse("/b"), "x")},
		"an earlier state":      {first, other},
		"never committed":       {other, put(other, routekey.MustParse("/b"), "x")},
		"nothing new":           {second, second},
		"an earlier generation": {second, first},
		"no state":              {nil, put(&registry.State{}, routekey.MustParse("/b"), "x")},
	} {
		require.ErrorIs(t, o.Commit(t.Context(), c.base, c.next), registry.ErrStale, name)
	}
	o = o.reopened(t, m)
	o.commit(t, put(o.state, routekey.MustParse("/b"), "three"))
	o.close()
}

func cancelled(t *testing.T, m Medium) {
	o := open(t, m)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, o.Commit(ctx, o.state, put(o.state, routekey.MustParse("/a"), "one")), context.Canceled)
	o = o.reopened(t, m)
	o.commit(t, put(o.state, routekey.MustParse("/a"), "one"))
	o.close()
}

// invalidState commits states that could not be read back.
func invalidState(t *testing.T, m Medium) {
	o := open(t, m)
	noKind, _ := o.state.Put(routekey.MustParse("/a"), registry.Version{})
	noPrefix, _ := o.state.Put(routekey.Key{Prefix: "a"}, version("one"))
	for name, next := range map[string]*registry.State{
		"version without kind":  noKind,
		"malformed prefix":      noPrefix,
		"record without kind":   o.state.PutRecord("k/x", registry.Record{Manifest: "{}"}),
		"record without object": o.state.PutRecord("k/x", registry.Record{Kind: "k", Manifest: "[]"}),
		"record without name":   o.state.PutRecord("", record(1)),
	} {
		require.ErrorIs(t, o.Commit(t.Context(), o.state, next), registry.ErrInvalidState, name)
	}
	o = o.reopened(t, m)
	o.commit(t, put(o.state, routekey.MustParse("/a"), "one"))
	o.close()
}

// oneOfManyWins commits from many goroutines. Of those with the same base exactly one wins, and no change is lost.
func oneOfManyWins(t *testing.T, m Medium) {
	const writers, rounds = 8, 5
	o := open(t, m)
	for round := range rounds {
		won := make(chan *registry.State, writers)
		var all sync.WaitGroup
		for writer := range writers {
			all.Go(func() {
				next := put(o.state, routekey.MustParse(fmt.Sprintf("/w%d", writer)), fmt.Sprint(round))
				switch err := o.Commit(t.Context(), o.state, next); {
				case err == nil:
					won <- next
				case !errors.Is(err, registry.ErrStale):
					t.Errorf("commit: %v", err)
				}
			})
		}
		all.Wait()
		require.Len(t, won, 1)
		o.state = <-won
		o = o.reopened(t, m)
	}
	require.EqualValues(t, rounds, o.state.Generation)
	o.close()
}

func watch(t *testing.T, m Medium) {
	o := open(t, m)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	seen := 0
	for state := range o.Watch(ctx) { // the current one, and then each as it is committed
		require.Same(t, o.state, state)
		if seen++; seen == 4 {
			break
		}
		o.commit(t, put(o.state, routekey.MustParse("/a"), fmt.Sprint(seen)))
	}
	stop()
	for range o.Watch(ctx) {
		t.Fatal("a state after the end")
	}
	o.close()
}

// watchLatest checks that a slow watcher sees the last state, and none twice.
func watchLatest(t *testing.T, m Medium) {
	o := open(t, m)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var seen []*registry.State
	for state := range o.Watch(ctx) {
		seen = append(seen, state)
		if len(seen) == 2 {
			break
		}
		for i := range 10 {
			o.commit(t, put(o.state, routekey.MustParse("/a"), fmt.Sprint(i)))
		}
	}
	require.Same(t, o.state, seen[1])
	for state := range o.Watch(ctx) {
		require.Same(t, o.state, state, "a new watcher begins with the current state")
		stop()
	}
	o.close()
}

// watchMany watches from several goroutines while others commit. Generations only grow, and all end at the last.
func watchMany(t *testing.T, m Medium) {
	const commits = 20
	o := open(t, m)
	var watchers sync.WaitGroup
	for range 4 {
		watchers.Go(func() {
			last := registry.Generation(0)
			for state := range o.Watch(t.Context()) {
				if state.Generation < last {
					t.Errorf("generation %d after %d", state.Generation, last)
				}
				if last = state.Generation; last == commits {
					return
				}
			}
		})
	}
	for i := range commits {
		o.commit(t, put(o.state, routekey.MustParse("/a"), fmt.Sprint(i)))
	}
	watchers.Wait()
	o.close()
}

// model makes random changes, some of them stale, and compares with a map.
func model(t *testing.T, m Medium) {
	rng := rand.New(rand.NewPCG(1, 2))
	o := open(t, m)
	want := make(map[routekey.Key]registry.Digest)
	past := []*registry.State{}
	for step := range 60 {
		key := routekey.MustParse(fmt.Sprintf("/%d", rng.IntN(4)))
		switch rng.IntN(5) {
		case 0:
			next, err := o.state.Remove(key)
			if errors.Is(err, registry.ErrNotFound) {
				continue
			}
			past = append(past, o.state)
			o.commit(t, next)
			delete(want, key)
		case 1:
			if len(past) > 0 {
				base := past[rng.IntN(len(past))]
				require.ErrorIs(t, o.Commit(t.Context(), base, put(base, key, "stale")), registry.ErrStale)
			}
		case 2:
			if again := o.reopened(t, m); again != o {
				o, past = again, nil
			}
		default:
			text := fmt.Sprint(step)
			past = append(past, o.state)
			o.commit(t, put(o.state, key, text))
			want[key] = registry.DigestOf([]byte(text))
		}
		require.Len(t, o.state.Services, len(want))
		for key, digest := range want {
			require.Equal(t, digest, o.state.Services[key].Current.Blobs[0].Digest)
		}
	}
	o.reopened(t, m).close()
}

// content stores unusual values, full histories and many services.
func content(t *testing.T, m Medium) {
	o := open(t, m)
	next := o.state
	for i := range registry.MaxHistory + 5 {
		next = put(next, routekey.MustParse("/full"), fmt.Sprint(i))
	}
	for i := range 200 {
		next = put(next, routekey.MustParse(fmt.Sprintf("/s%d", i)), "the same")
	}
	next = put(next, routekey.Stored("/<&>\u2028 Host: \"x\""), "quoted")
	next = put(next, routekey.Stored("/"+strings.Repeat("long", 1000)), "long")
	o.commit(t, next)
	o.reopened(t, m).close()
}
