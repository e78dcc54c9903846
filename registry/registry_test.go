package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/storetest"
)

// faulty is a store of catalogue and blobs in memory whose methods fail as configured by fail.
type faulty struct {
	*storetest.Memory
	loaded registry.Loaded
	blobs  *storetest.MemoryBlobs
	fail   map[string]error // by method
}

func newFaulty() *faulty {
	f := &faulty{
		loaded: registry.Loaded{State: &registry.State{}},
		blobs:  storetest.NewMemoryBlobs(),
		fail:   make(map[string]error),
	}
	f.Memory = storetest.NewMemory(f.loaded.State)
	return f
}

func (f *faulty) Load(ctx context.Context) (registry.Loaded, error) { return f.loaded, f.fail["Load"] }

func (f *faulty) Commit(ctx context.Context, base, next *registry.State) error {
	if err := f.fail["Commit"]; err != nil {
		return err
	}
	return f.Memory.Commit(ctx, base, next)
}

// stored returns the state that the store holds.
func (f *faulty) stored(t *testing.T) *registry.State {
	loaded, err := f.Memory.Load(context.Background())
	require.NoError(t, err)
	return loaded.State
}

// faultyBlobs are the blobs of a faulty store.
type faultyBlobs struct{ *faulty }

func (f faultyBlobs) Put(ctx context.Context, d registry.Digest, blob []byte) error {
	if err := f.fail["Put"]; err != nil {
		return err
	}
	return f.blobs.Put(ctx, d, blob)
}

func (f faultyBlobs) Get(ctx context.Context, d registry.Digest) ([]byte, error) {
	return f.blobs.Get(ctx, d)
}

func (f faultyBlobs) Open(ctx context.Context, d registry.Digest) (io.ReadSeekCloser, error) {
	return f.blobs.Open(ctx, d)
}

func (f faultyBlobs) List(ctx context.Context) ([]registry.Digest, error) {
	if err := f.fail["List"]; err != nil {
		return nil, err
	}
	return f.blobs.List(ctx)
}

func (f faultyBlobs) Delete(ctx context.Context, d registry.Digest) error {
	if err := f.fail["Delete"]; err != nil {
		return err
	}
	return f.blobs.Delete(ctx, d)
}

// names returns the digests of the stored blobs.
func (f *faulty) names() []registry.Digest {
	all, _ := f.blobs.List(context.Background()) // never fails
	return all
}

func open(t *testing.T, store *faulty) *registry.Registry {
	t.Helper()
	reg, _, err := registry.Open(context.Background(), store, faultyBlobs{store})
	require.NoError(t, err)
	return reg
}

// deploy puts text at prefix and returns its digest.
func deploy(t *testing.T, reg *registry.Registry, key routekey.Key, text string) registry.Digest {
	t.Helper()
	digest, release, err := reg.PutBlob(context.Background(), []byte(text))
	require.NoError(t, err)
	defer release()
	base := reg.State()
	next, _ := base.Put(key, version(text))
	require.NoError(t, reg.Commit(context.Background(), base, next))
	return digest
}

var errDisk = errors.New("disk is on fire")

func TestOpenPassesOnWhatTheStoreFound(t *testing.T) {
	store := newFaulty()
	store.loaded.Problems = []registry.Problem{{Subject: "file"}}
	reg, problems, err := registry.Open(context.Background(), store, faultyBlobs{store})
	require.NoError(t, err)
	require.Equal(t, store.loaded.Problems, problems)
	require.Same(t, store.loaded.State, reg.State())

	store.fail["Load"] = errDisk
	_, _, err = registry.Open(context.Background(), store, faultyBlobs{store})
	require.ErrorIs(t, err, errDisk)
}

func TestCommitIsDurableBeforeItIsVisible(t *testing.T) {
	store := newFaulty()
	reg := open(t, store)
	deploy(t, reg, routekey.MustParse("/a"), "one")
	require.Same(t, store.stored(t), reg.State())
}

func TestFailedCommitChangesNothing(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	store := newFaulty()
	reg := open(t, store)
	deploy(t, reg, routekey.MustParse("/a"), "one")
	base := reg.State()
	next, _ := base.Put(routekey.MustParse("/b"), version("one"))

	store.fail["Commit"] = errDisk
	require.ErrorIs(t, reg.Commit(context.Background(), base, next), errDisk)
	store.fail["Commit"] = nil
	require.ErrorIs(t, reg.Commit(cancelled, base, next), context.Canceled)
	require.ErrorIs(t, reg.Commit(context.Background(), base, base), registry.ErrStale)
	require.ErrorIs(t, reg.Commit(context.Background(), &registry.State{}, next), registry.ErrStale)
	unheld, _ := base.Put(routekey.MustParse("/b"), version("never stored"))
	require.ErrorIs(t, reg.Commit(context.Background(), base, unheld), registry.ErrUnheldBlob)
	require.Same(t, base, reg.State())
	require.Same(t, base, store.stored(t))

	require.NoError(t, reg.Commit(context.Background(), base, next))
	require.ErrorIs(t, reg.Commit(context.Background(), base, next), registry.ErrStale)
}

// Of two registries over one store, each sees the changes of the other after ErrStale, and does not overwrite them.
func TestStaleCommitCatchesUp(t *testing.T) {
	store := newFaulty()
	one, two := open(t, store), open(t, store)
	deploy(t, one, routekey.MustParse("/a"), "one")
	digest, release, err := two.PutBlob(context.Background(), []byte("two"))
	require.NoError(t, err)
	defer release()
	put := func() error {
		base := two.State()
		next, _ := base.Put(routekey.MustParse("/b"), registry.Version{Kind: "wasm", Blobs: []registry.Blob{{Field: "module", Digest: digest, SizeBytes: 3}}})
		return two.Commit(context.Background(), base, next)
	}
	require.ErrorIs(t, put(), registry.ErrStale)
	require.Same(t, one.State(), two.State())
	require.NoError(t, put())
	require.Contains(t, two.State().Services, routekey.MustParse("/a"))
	require.Contains(t, two.State().Services, routekey.MustParse("/b"))
}

// lateStore makes commits, and learns of them late.
type lateStore struct {
	registry.Store
	known *registry.State // by Watch; nil: the latest state
}

func (s *lateStore) Commit(ctx context.Context, base, next *registry.State) error {
	if s.known != nil {
		return registry.ErrStale
	}
	return s.Store.Commit(ctx, base, next)
}

func (s *lateStore) Watch(ctx context.Context) iter.Seq[*registry.State] {
	if s.known != nil {
		return func(yield func(*registry.State) bool) { yield(s.known) }
	}
	return s.Store.Watch(ctx)
}

// TestCatchingUpNeverGoesBack asks a store that does not know the last commit yet.
func TestCatchingUpNeverGoesBack(t *testing.T) {
	faulty := newFaulty()
	store := &lateStore{Store: faulty}
	reg, _, err := registry.Open(t.Context(), store, faulty.blobs)
	require.NoError(t, err)
	deploy(t, reg, routekey.MustParse("/a"), "one")
	before := reg.State()
	deploy(t, reg, routekey.MustParse("/a"), "two")
	base := reg.State()
	next, _ := base.Remove(routekey.MustParse("/a"))
	store.known = before
	require.ErrorIs(t, reg.Commit(t.Context(), base, next), registry.ErrStale)
	require.Same(t, base, reg.State())
	store.known = nil
	require.NoError(t, reg.Commit(t.Context(), base, next))
}

func TestCollectGarbageKeepsWhatIsNamedOrHeld(t *testing.T) {
	ctx := context.Background()
	store := newFaulty()
	reg := open(t, store)
	first := deploy(t, reg, routekey.MustParse("/a"), "one")
	second := deploy(t, reg, routekey.MustParse("/a"), "two")
	held, release, err := reg.PutBlob(ctx, []byte("three"))
	require.NoError(t, err)
	_, releaseToo, err := reg.PutBlob(ctx, []byte("three"))
	require.NoError(t, err)
	orphan := registry.DigestOf([]byte("orphan"))
	store.blobs.Damage(orphan, []byte("orphan"))

	collect := func(want int) {
		t.Helper()
		n, err := reg.CollectGarbage(ctx)
		require.NoError(t, err)
		require.Len(t, n, want)
	}
	collect(1)
	require.NotContains(t, store.names(), orphan)
	require.Contains(t, store.names(), first, "the history names it")
	require.Contains(t, store.names(), second)
	release()
	release() // a second call does nothing
	collect(0)
	require.Contains(t, store.names(), held, "held by the other")
	releaseToo()
	collect(1)

	base := reg.State()
	next, err := base.Remove(routekey.MustParse("/a"))
	require.NoError(t, err)
	require.NoError(t, reg.Commit(ctx, base, next))
	collect(2)
	require.Empty(t, store.names())
}

// What leaves the history leaves the disk.
func TestCollectGarbageOfVersionsThatAreNotKept(t *testing.T) {
	store := newFaulty()
	reg := open(t, store)
	var last registry.Digest
	for i := range registry.MaxHistory + 5 {
		last = deploy(t, reg, routekey.MustParse("/a"), fmt.Sprint(i))
	}
	collected, err := reg.CollectGarbage(context.Background())
	require.NoError(t, err)
	require.Len(t, collected, 4)
	require.Len(t, store.names(), registry.MaxHistory+1)
	require.Contains(t, store.names(), last)
}

func TestCollectGarbageGoesOnAfterFailures(t *testing.T) {
	ctx := context.Background()
	store := newFaulty()
	reg := open(t, store)
	store.blobs.Damage(registry.DigestOf(nil), nil)
	store.fail["Delete"] = errDisk
	n, err := reg.CollectGarbage(ctx)
	require.ErrorIs(t, err, errDisk)
	require.Zero(t, n)
	store.fail["List"] = errDisk
	_, err = reg.CollectGarbage(ctx)
	require.ErrorIs(t, err, errDisk)
}

func TestCollectGarbageKeepsAllWhenTheStoreSaysSo(t *testing.T) {
	store := newFaulty()
	store.loaded.KeepBlobs = true
	store.blobs.Damage(registry.DigestOf(nil), nil)
	reg := open(t, store)
	require.False(t, reg.Collects())
	n, err := reg.CollectGarbage(context.Background())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Len(t, store.names(), 1)
}

func TestFailedPutBlobHoldsNothing(t *testing.T) {
	store := newFaulty()
	reg := open(t, store)
	store.fail["Put"] = errDisk
	_, _, err := reg.PutBlob(context.Background(), []byte("one"))
	require.ErrorIs(t, err, errDisk)
	next, _ := reg.State().Put(routekey.MustParse("/a"), version("one"))
	require.ErrorIs(t, reg.Commit(context.Background(), reg.State(), next), registry.ErrUnheldBlob)
}
