package deploy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// errNoBlob is the failure of a house without a source for blobs.
var errNoBlob = errors.New("the source of blobs is not reachable")

// source fetches blobs from another house, as another host's would be.
type source struct {
	registry.BlobStore
	from func(context.Context, registry.Digest) ([]byte, error)

	mu    sync.Mutex
	fails error // guarded by mu
}

func (s *source) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails = err
}

// Get returns a stored blob, or stores that of the other house.
func (s *source) Get(ctx context.Context, d registry.Digest) ([]byte, error) {
	blob, err := s.BlobStore.Get(ctx, d)
	if !errors.Is(err, registry.ErrBlobMissing) {
		return blob, err
	}
	s.mu.Lock()
	err = s.fails
	s.mu.Unlock()
	if err == nil {
		blob, err = s.from(ctx, d)
	}
	if err == nil {
		err = s.BlobStore.Put(ctx, d, blob)
	}
	return blob, err
}

// follower returns a house that gets its blobs from another one.
func (h *house) follower(dir string) (*house, *source) {
	h.t.Helper()
	blobs := &source{from: h.Blob}
	f := unbooted(h.t, dir, nil)
	blobs.BlobStore = faultyBlobs{f.store.blobs, f.store}
	reg, _, err := registry.Open(h.t.Context(), f.store, blobs)
	require.NoError(h.t, err)
	f.cfg.Registry = reg
	require.NoError(h.t, f.Boot(h.t.Context()))
	return f, blobs
}

// catalogue returns the state of the house as another process decodes it.
func (h *house) catalogue() *registry.State {
	s := *h.cfg.Registry.State()
	return &s
}

func (h *house) adopt(s *registry.State) Adopted {
	h.t.Helper()
	adopted, err := h.Adopt(h.t.Context(), Adoption{State: s})
	require.NoError(h.t, err)
	return adopted
}

// requireLike checks that the house serves what another one serves.
func (h *house) requireLike(o *house) {
	h.t.Helper()
	want, got := o.cfg.Registry.State(), h.cfg.Registry.State()
	require.Equal(h.t, want, got)
	require.Len(h.t, h.List(), len(want.Services))
	for key := range want.Services {
		mine, err := h.Inspect(key)
		require.NoError(h.t, err)
		theirs, err := o.Inspect(key)
		require.NoError(h.t, err)
		require.Equal(h.t, theirs.Service, mine.Service)
		require.Len(h.t, mine.Live, len(theirs.Live))
		h.requireShares(theirs.Service)
	}
}

func TestAdoptMakesTheServedSetEqual(t *testing.T) {
	p := booted(t, t.TempDir(), nil)
	dir := t.TempDir()
	f, _ := p.follower(dir)
	a, b := routekey.MustParse("/a"), routekey.MustParse("/b")
	p.add(a, "one")
	p.add(b, "two")
	adopted := f.adopt(p.catalogue())
	require.Len(t, adopted.Deployed, 2)
	require.True(t, adopted.Deployed[0].Created)
	f.requireLike(p)

	waiting := f.pause("/a")
	p.add(a, "three")
	require.NoError(t, p.Remove(t.Context(), b))
	adopted = f.adopt(p.catalogue())
	require.Equal(t, []routekey.Key{b}, adopted.Removed)
	require.Equal(t, registry.Number(1), adopted.Deployed[0].Before.Number)
	f.requireLike(p)
	close(f.kind.hold)
	require.Equal(t, "one", <-waiting, "a request in flight keeps its version")

	prepared := len(f.kind.specs)
	require.Empty(t, f.adopt(p.catalogue()).Deployed, "the same state again changes nothing")
	require.Len(t, f.kind.specs, prepared)

	f.end()
	f, blobs := p.follower(dir)
	blobs.failWith(errNoBlob)
	f.requireLike(p)
}

func TestAdoptCopiesTrafficRecordsAndHistory(t *testing.T) {
	p := booted(t, t.TempDir(), nil)
	f, _ := p.follower(t.TempDir())
	a := routekey.MustParse("/a")
	p.add(a, "one")
	p.add(a, "two")
	f.adopt(p.catalogue())
	prepared := len(f.kind.specs)
	_, err := p.Split(t.Context(), a, registry.Split{Arms: []registry.Arm{{Number: 1, Weight: 500}, {Number: 2, Weight: 500}}})
	require.NoError(t, err)
	f.adopt(p.catalogue())
	require.Len(t, f.kind.specs, prepared+1, "the version that serves already goes on")
	require.Equal(t, p.catalogue(), f.catalogue())
	entry, err := f.Inspect(a)
	require.NoError(t, err)
	require.Len(t, entry.Live, 2)

	_, err = p.Split(t.Context(), a, registry.Split{Arms: []registry.Arm{{Number: 1, Weight: registry.Whole}}})
	require.NoError(t, err)
	f.adopt(p.catalogue())
	require.Len(t, f.kind.specs, prepared+1)
	f.requireLike(p)

	_, err = p.Transact(t.Context(), nil, func(*registry.State) (Changes, error) {
		return Changes{Records: map[string]Edit{"test/a": func(registry.Record) (registry.Record, error) {
			return registry.Record{Kind: "test", Manifest: `{"x":1}`}, nil
		}}}, nil
	})
	require.NoError(t, err)
	require.Empty(t, f.adopt(p.catalogue()).Deployed)
	require.Equal(t, p.catalogue().Records, f.catalogue().Records)

	again := p.add(a, "one")
	require.Equal(t, registry.Number(1), again.Service.Current.Number)
	f.adopt(p.catalogue())
	require.Len(t, f.kind.specs, prepared+2, "a version that is deployed again gets new instances")
	f.requireLike(p)
}

func TestAdoptLeavesOneUnavailable(t *testing.T) {
	p := booted(t, t.TempDir(), nil)
	f, blobs := p.follower(t.TempDir())
	a, b := routekey.MustParse("/a"), routekey.MustParse("/b")
	p.add(a, "one")
	p.add(b, "two")
	var once atomic.Bool // versions are prepared side by side
	f.kind.failAt("prepare", func(context.Context) error {
		if once.Swap(true) {
			return nil
		}
		return errInjected
	})
	adopted := f.adopt(p.catalogue())
	require.Len(t, adopted.Unavailable, 1)
	failed := adopted.Unavailable[0].String()
	status, _ := f.get(failed)
	require.Equal(t, 503, status)
	f.requireServed(map[string]string{"/a": "/b", "/b": "/a"}[failed], map[string]string{"/a": "two", "/b": "one"}[failed])

	adopted, err := f.Adopt(t.Context(), Adoption{State: p.catalogue(), Retry: true})
	require.NoError(t, err)
	require.Empty(t, adopted.Unavailable)
	require.Len(t, adopted.Deployed, 1, "the others go on")
	f.requireLike(p)

	p.add(a, "three")
	blobs.failWith(registry.ErrBlobMissing)
	_, err = f.Adopt(t.Context(), Adoption{State: p.catalogue()})
	require.ErrorIs(t, err, registry.ErrBlobMissing)
	f.requireServed("/a", "one")
	adopted, err = f.Adopt(t.Context(), Adoption{State: p.catalogue(), Partial: true})
	require.NoError(t, err)
	require.Equal(t, []routekey.Key{a}, adopted.Unavailable)
	f.requireServed("/a", "one")
	f.requireServed("/b", "two")
	p.add(b, "four")
	adopted, err = f.Adopt(t.Context(), Adoption{State: p.catalogue(), Partial: true})
	require.NoError(t, err)
	require.Equal(t, []routekey.Key{a, b}, adopted.Unavailable)
	f.requireServed("/b", "two")
	adopted, err = f.Adopt(t.Context(), Adoption{State: p.catalogue(), Partial: true, Retry: true})
	require.NoError(t, err)
	require.Empty(t, adopted.Deployed, "it fails as before")
	blobs.failWith(nil)
	_, err = f.Adopt(t.Context(), Adoption{State: p.catalogue(), Retry: true})
	require.NoError(t, err)
	f.requireLike(p)
}

// TestAdoptWithoutBlobsKeepsWhatIsServed replaces and removes services that are behind, by adoptions and by a change of this
// host.
func TestAdoptWithoutBlobsKeepsWhatIsServed(t *testing.T) {
	p := booted(t, t.TempDir(), nil)
	f, blobs := p.follower(t.TempDir())
	a, b, c := routekey.MustParse("/a"), routekey.MustParse("/b"), routekey.MustParse("/c")
	for i, key := range []routekey.Key{a, b, c} {
		p.add(key, fmt.Sprint(i))
	}
	f.adopt(p.catalogue())
	for i, key := range []routekey.Key{a, b, c} {
		p.add(key, fmt.Sprint(i, "new"))
	}
	blobs.failWith(registry.ErrBlobMissing)
	adopted, err := f.Adopt(t.Context(), Adoption{State: p.catalogue(), Partial: true})
	require.NoError(t, err)
	require.Equal(t, []routekey.Key{a, b, c}, adopted.Unavailable)
	require.Empty(t, adopted.Deployed)
	require.Equal(t, p.catalogue().Generation, adopted.State.Generation)

	require.NoError(t, p.Remove(t.Context(), a))
	_, err = p.Rollback(t.Context(), b)
	require.NoError(t, err)
	adopted, err = f.Adopt(t.Context(), Adoption{State: p.catalogue(), Partial: true})
	require.NoError(t, err)
	require.Equal(t, []routekey.Key{c}, adopted.Unavailable)
	status, _ := f.get("/a")
	require.Equal(t, 404, status)
	f.requireServed("/b", "1")
	f.requireServed("/c", "2")
	f.add(c, "own")
	f.requireServed("/c", "own")
	adopted, err = f.Adopt(t.Context(), Adoption{State: f.cfg.Registry.State(), Partial: true, Retry: true})
	require.NoError(t, err)
	require.Empty(t, adopted.Unavailable)
	require.Empty(t, adopted.Deployed)
	f.end()
	require.Zero(t, f.kind.openCount())
}

// TestAdoptWithoutAPlacePostpones removes a service while versions have no place, and prepares these with one. The place is
// released once.
func TestAdoptWithoutAPlacePostpones(t *testing.T) {
	p := booted(t, t.TempDir(), nil)
	f, _ := p.follower(t.TempDir())
	a, b, c := routekey.MustParse("/a"), routekey.MustParse("/b"), routekey.MustParse("/c")
	p.add(a, "one")
	p.add(b, "two")
	f.adopt(p.catalogue())
	p.add(a, "three")
	p.add(c, "four")
	require.NoError(t, p.Remove(t.Context(), b))
	asked := 0
	full := func(context.Context) (func(), bool) { asked++; return nil, false }
	for range 2 {
		adopted, err := f.Adopt(t.Context(), Adoption{State: p.catalogue(), Partial: true, Place: full})
		require.NoError(t, err)
		require.True(t, adopted.Postponed)
		require.Empty(t, adopted.Unavailable)
		f.requireServed("/a", "one")
		for _, path := range []string{"/b", "/c"} {
			status, _ := f.get(path)
			require.Equal(t, 404, status, path)
		}
	}
	require.Equal(t, 2, asked)
	released := 0
	free := func(context.Context) (func(), bool) { return func() { released++ }, true }
	adopted, err := f.Adopt(t.Context(), Adoption{State: p.catalogue(), Partial: true, Place: free})
	require.NoError(t, err)
	require.False(t, adopted.Postponed)
	require.Equal(t, 1, released)
	f.requireLike(p)
	f.end()
	require.Zero(t, f.kind.openCount())
}

func TestFailedAdoptChangesNothing(t *testing.T) {
	p := booted(t, t.TempDir(), nil)
	f, blobs := p.follower(t.TempDir())
	a := routekey.MustParse("/a")
	p.add(a, "one")
	f.adopt(p.catalogue())
	p.add(a, "two")
	p.add(routekey.MustParse("/b"), "three")
	before := f.cfg.Registry.State()
	for _, name := range []string{"source", "Put", "Commit"} {
		fail := func(err error) { f.store.failAt(name, err) }
		if name == "source" {
			fail = blobs.failWith
		}
		fail(errNoBlob)
		_, err := f.Adopt(t.Context(), Adoption{State: p.catalogue(), Partial: true})
		require.ErrorIs(t, err, errNoBlob, name)
		require.Same(t, before, f.cfg.Registry.State())
		f.requireServed("/a", "one")
		require.Equal(t, 1, f.kind.openCount(), name)
		fail(nil)
	}
	f.adopt(p.catalogue())
	f.requireLike(p)
}

// TestAdoptOfAnOlderStateKeepsTheNewer adopts states in any order.
func TestAdoptOfAnOlderStateKeepsTheNewer(t *testing.T) {
	p := booted(t, t.TempDir(), nil)
	f, _ := p.follower(t.TempDir())
	p.add(routekey.MustParse("/a"), "one")
	older := p.catalogue()
	p.add(routekey.MustParse("/a"), "two")
	f.adopt(p.catalogue())
	adopted := f.adopt(older)
	require.Equal(t, p.catalogue(), adopted.State)
	f.requireLike(p)
}

// TestRandomAdoptions makes random changes and adopts some of the states, from two goroutines, as a watcher and a change
// of the same host would be. States may come in any order.
func TestRandomAdoptions(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := booted(t, t.TempDir(), nil)
			f, _ := p.follower(t.TempDir())
			r := rand.New(rand.NewPCG(seed, 0))
			states := make(chan *registry.State, 1)
			var adopting sync.WaitGroup
			for range 2 {
				adopting.Go(func() {
					for s := range states {
						_, err := f.Adopt(t.Context(), Adoption{State: s})
						assert.True(t, err == nil || errors.Is(err, registry.ErrBlobMissing), "%v: only a newer state drops blobs", err)
					}
				})
			}
			for range 60 {
				text := func() string { return strconv.Itoa(r.IntN(9)) }
				_ = p.randomChange(r, func() string { return "/" + strconv.Itoa(r.IntN(4)) }, text)
				states <- p.catalogue()
			}
			close(states)
			adopting.Wait()
			f.adopt(p.catalogue())
			f.requireLike(p)
			p.retiring.Wait()
			f.retiring.Wait()
			require.Equal(t, p.kind.openCount(), f.kind.openCount())
			require.Empty(t, f.claims.taken)
		})
	}
}

// TestChangeOnAStateThatIsNotServedYet changes a service whose last version was committed by another host.
func TestChangeOnAStateThatIsNotServedYet(t *testing.T) {
	p := booted(t, t.TempDir(), nil)
	f, _ := p.follower(t.TempDir())
	a := routekey.MustParse("/a")
	p.add(a, "one")
	f.adopt(p.catalogue())
	p.add(a, "two")
	_, err := p.Split(t.Context(), a, registry.Split{Arms: []registry.Arm{{Number: 1, Weight: 500}, {Number: 2, Weight: 500}}})
	require.NoError(t, err)
	require.NoError(t, f.cfg.Registry.Adopt(t.Context(), p.catalogue()), "as a store of several hosts catches up")
	_, err = f.Split(t.Context(), a, registry.Split{Arms: []registry.Arm{{Number: 1, Weight: 100}, {Number: 2, Weight: 900}}})
	require.NoError(t, err)
	entry, err := f.Inspect(a)
	require.NoError(t, err)
	require.Len(t, entry.Live, 2)
	var seen []string
	for range 200 {
		_, text := f.get("/a")
		seen = append(seen, text)
	}
	require.Contains(t, strings.Join(seen, " "), "two")
}
