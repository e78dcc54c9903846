package etcdstore

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// patience bounds what a test waits for.
const patience = time.Minute

// pair is two stores of one catalogue, as of two hosts.
type pair struct {
	a, b   *Store
	client *clientv3.Client
	keys   string
}

func newPair(t *testing.T, server *etcdtest.Server, prefix string) *pair {
	t.Helper()
	p := &pair{a: loaded(t, server.URL(prefix)), b: loaded(t, server.URL(prefix)), client: server.Client(t)}
	p.keys = p.a.keys
	return p
}

// loaded returns a store that has read the catalogue. It is closed at the end of the test.
func loaded(t *testing.T, url string) *Store {
	t.Helper()
	s := openStore(t, url)
	t.Cleanup(func() { _ = s.Close() })
	l, err := s.Load(t.Context())
	require.NoError(t, err)
	require.Empty(t, l.Problems)
	return s
}

// current returns the latest state of a store.
func current(s *Store) *registry.State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// reaches waits until a store has a generation, and returns its state.
func reaches(t *testing.T, s *Store, generation registry.Generation) *registry.State {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for state := range s.Watch(ctx) {
		if state.Generation >= generation {
			return state
		}
	}
	require.Fail(t, "a generation was not reached", "%d of %d; %v", current(s).Generation, generation, s.Trouble())
	return nil
}

func deployed(s *registry.State, path, text string) *registry.State {
	next, _ := s.Put(routekey.MustParse(path), registry.Version{
		Kind:     "test",
		Manifest: registry.Manifest(fmt.Sprintf(`{"text":%q}`, text)),
		Deployed: time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC),
	})
	return next
}

func textAt(s *registry.State, path string) string {
	return string(s.Services[routekey.MustParse(path)].Current.Manifest)
}

// commit commits a state on top of the store's own.
func commit(t *testing.T, s *Store, change func(*registry.State) *registry.State) *registry.State {
	t.Helper()
	base := current(s)
	next := change(base)
	require.NoError(t, s.Commit(t.Context(), base, next))
	return next
}

// requireEqual requires states with the same content.
func requireEqual(t *testing.T, want, got *registry.State) {
	t.Helper()
	require.Equal(t, want.Generation, got.Generation)
	require.Len(t, got.Services, len(want.Services))
	for key, service := range want.Services {
		require.True(t, service.Equal(got.Services[key]), "%s", key)
	}
}

// many deploys n services in one commit.
func many(n int) func(*registry.State) *registry.State {
	return func(s *registry.State) *registry.State {
		next := &registry.State{Generation: s.Generation, Services: maps.Clone(s.Services), Records: s.Records}
		if next.Services == nil {
			next.Services = make(map[routekey.Key]registry.Service)
		}
		for i := range n {
			key := routekey.MustParse(fmt.Sprintf("/many/%d", i))
			next.Generation++
			next.Services[key] = next.Services[key].With(key, registry.Version{
				Kind:       "test",
				Manifest:   registry.Manifest(fmt.Sprintf(`{"after":%d}`, s.Generation)),
				Generation: next.Generation,
			})
		}
		return next
	}
}

func one(path, text string) func(*registry.State) *registry.State {
	return func(s *registry.State) *registry.State { return deployed(s, path, text) }
}

func TestHosts(t *testing.T) {
	server := etcdtest.Start(t)
	for name, test := range map[string]func(*testing.T, *pair){
		"AnotherHostIsFirst": anotherHostIsFirst,
		"LargeCommits":       largeCommits,
		"UnfinishedFold":     unfinishedFold,
		"AbandonedStaging":   abandonedStaging,
		"ForeignChanges":     foreignChanges,
		"DamagedService":     damagedService,
		"Copy":               copyOfServed,
		"LostAnswer":         lostAnswer,
		"LostAnswerAndWatch": lostAnswerAndWatch,
		"Compaction":         compaction,
		"Newer":              newerValues,
		"TooLarge":           tooLarge,
		"Claims":             claims,
		"SameAddress":        sameAddress,
	} {
		t.Run(name, func(t *testing.T) { test(t, newPair(t, server, "hosts-"+name)) })
	}
}

// sameAddress announces two hosts by one address. The first is announced again after the second has ended.
func sameAddress(t *testing.T, p *pair) {
	announce := func(s *Store, version string) func() {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Announce(ctx, func() cluster.Member { return cluster.Member{Address: "host:1", Version: version} })
		}()
		require.True(t, within(func() bool { return versionAt(t, p.a, "host:1") == version }))
		return func() {
			cancel()
			<-ended
		}
	}
	defer announce(p.a, "first")()
	announce(p.b, "second")()
	require.Empty(t, versionAt(t, p.a, "host:1"))
	require.True(t, within(func() bool { return versionAt(t, p.a, "host:1") == "first" }))
}

// versionAt returns the version of the host with an address; empty if there is none.
func versionAt(t *testing.T, s *Store, address string) string {
	t.Helper()
	view, err := s.View(t.Context())
	require.NoError(t, err)
	for _, m := range view.Members {
		if m.Address == address {
			return m.Version
		}
	}
	return ""
}

// anotherHostIsFirst commits on both hosts from the same base, again and again: one wins, and the other finds its state.
func anotherHostIsFirst(t *testing.T, p *pair) {
	for round := range 20 {
		base, other := current(p.a), reaches(t, p.b, current(p.a).Generation)
		first, second := p.a, p.b
		if round%2 == 1 {
			first, second, base, other = p.b, p.a, other, base
		}
		require.NoError(t, first.Commit(t.Context(), base, deployed(base, "/a", fmt.Sprint(round))))
		err := second.Commit(t.Context(), other, deployed(other, "/b", fmt.Sprint(round)))
		require.ErrorIs(t, err, registry.ErrStale)
		found := current(second)
		require.Contains(t, textAt(found, "/a"), fmt.Sprint(round), "after ErrStale the state of the first is known")
		require.NoError(t, second.Commit(t.Context(), found, deployed(found, "/b", fmt.Sprint(round))))
		requireEqual(t, current(second), reaches(t, first, found.Generation+1))
	}
}

// largeCommits exceed the bounds of a transaction. The other host sees all of a commit or nothing.
func largeCommits(t *testing.T, p *pair) {
	const services = 3000
	watching, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for state := range p.b.Watch(watching) {
			texts := make(map[registry.Manifest]int)
			for _, service := range state.Services {
				texts[service.Current.Manifest]++ // the same for all
			}
			if n := len(state.Services); n != 0 && n != services || len(texts) > 1 {
				t.Errorf("a state has %d services, of %d commits", n, len(texts))
			}
		}
	}()
	for range 2 {
		next := commit(t, p.a, many(services))
		requireEqual(t, next, reaches(t, p.b, next.Generation))
	}
	stop()
	<-ended
	next := commit(t, p.b, one("/many/0", "small"))
	requireEqual(t, next, loadedState(t, p.a.cfg))
	left, err := p.client.Get(t.Context(), p.keys+stagedKeys, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, left.Count, "staged changes are moved")
}

// loadedState returns what a new host reads.
func loadedState(t *testing.T, cfg Config) *registry.State {
	t.Helper()
	s := loaded(t, cfg.String())
	return current(s)
}

// unfinishedFold leaves staged changes where they are, as a host does that dies after its commit.
func unfinishedFold(t *testing.T, p *pair) {
	base := current(p.a)
	next := many(300)(base)
	proposal, err := p.a.propose(base, next)
	require.NoError(t, err)
	stageOnly(t, p.a, proposal)
	requireEqual(t, next, reaches(t, p.b, next.Generation))
	requireEqual(t, next, loadedState(t, p.a.cfg))
	after := commit(t, p.b, one("/many/7", "after"))
	requireEqual(t, after, loadedState(t, p.a.cfg))
	requireEqual(t, after, reaches(t, p.a, after.Generation))
}

// stageOnly makes a staged commit without moving its changes to their keys.
func stageOnly(t *testing.T, s *Store, p *proposal) {
	t.Helper()
	ctx := t.Context()
	marker := s.keys + markerKey(p.id)
	require.NoError(t, s.mark(ctx, marker))
	chunks := batches(p.writes, 1<<20, 10_000)
	for i, writes := range chunks {
		value, err := encodeChunk(writes)
		require.NoError(t, err)
		require.NoError(t, s.putMarked(ctx, marker, s.keys+stagedKey(p.id, i), value))
	}
	p.after.Staged = &stagedRef{ID: p.id, Chunks: len(chunks)}
	ops, err := s.headOps(p.after)
	require.NoError(t, err)
	require.NoError(t, s.switchTo(ctx, p, nil, append(ops, clientv3.OpDelete(marker))))
}

// abandonedStaging leaves chunks whose marker has expired. The next large commit deletes them.
func abandonedStaging(t *testing.T, p *pair) {
	_, err := p.client.Put(t.Context(), p.keys+stagedKey("LOST", 0), "x")
	require.NoError(t, err)
	next := commit(t, p.a, one("/a", "small"))
	requireEqual(t, next, reaches(t, p.b, next.Generation))
	next = commit(t, p.b, many(300))
	requireEqual(t, next, reaches(t, p.a, next.Generation))
	left, err := p.client.Get(t.Context(), p.keys+stagedKeys, clientv3.WithPrefix(), clientv3.WithCountOnly())
	require.NoError(t, err)
	require.Zero(t, left.Count)
}
