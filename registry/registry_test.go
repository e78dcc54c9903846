package registry_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

// memoryStore is a Store whose methods fail as configured by fail.
type memoryStore struct {
	mu     sync.Mutex
	loaded registry.Loaded
	blobs  map[registry.Digest][]byte
	fail   map[string]error // by method
}

func newMemoryStore() *memoryStore {
	return &memoryStore{
		loaded: registry.Loaded{State: &registry.State{}},
		blobs:  make(map[registry.Digest][]byte), fail: make(map[string]error),
	}
}

func (m *memoryStore) Load(context.Context) (registry.Loaded, error) { return m.loaded, m.fail["Load"] }

func (m *memoryStore) Save(_ context.Context, s *registry.State) error {
	if err := m.fail["Save"]; err != nil {
		return err
	}
	m.loaded.State = s
	return nil
}

func (m *memoryStore) PutBlob(_ context.Context, d registry.Digest, blob []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail["PutBlob"]; err != nil {
		return err
	}
	m.blobs[d] = bytes.Clone(blob)
	return nil
}

func (m *memoryStore) Blob(_ context.Context, d registry.Digest) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if blob, ok := m.blobs[d]; ok {
		return blob, nil
	}
	return nil, registry.ErrBlobMissing
}

func (m *memoryStore) Blobs(context.Context) ([]registry.Digest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.blobs)), m.fail["Blobs"]
}

func (m *memoryStore) DeleteBlob(_ context.Context, d registry.Digest) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail["DeleteBlob"]; err != nil {
		return err
	}
	delete(m.blobs, d)
	return nil
}

func open(t *testing.T, store registry.Store) *registry.Registry {
	t.Helper()
	reg, _, err := registry.Open(context.Background(), store)
	require.NoError(t, err)
	return reg
}

// deploy puts text at prefix and returns its digest.
func deploy(t *testing.T, reg *registry.Registry, prefix registry.Prefix, text string) registry.Digest {
	t.Helper()
	digest, release, err := reg.PutBlob(context.Background(), []byte(text))
	require.NoError(t, err)
	defer release()
	base := reg.State()
	next, _ := base.Put(prefix, version(text))
	require.NoError(t, reg.Commit(context.Background(), base, next))
	return digest
}

var errDisk = errors.New("disk is on fire")

func TestOpenPassesOnWhatTheStoreFound(t *testing.T) {
	store := newMemoryStore()
	store.loaded.Problems = []registry.Problem{{Subject: "file"}}
	reg, problems, err := registry.Open(context.Background(), store)
	require.NoError(t, err)
	require.Equal(t, store.loaded.Problems, problems)
	require.Same(t, store.loaded.State, reg.State())

	store.fail["Load"] = errDisk
	_, _, err = registry.Open(context.Background(), store)
	require.ErrorIs(t, err, errDisk)
}

func TestCommitIsDurableBeforeItIsVisible(t *testing.T) {
	store := newMemoryStore()
	reg := open(t, store)
	deploy(t, reg, "/a", "one")
	require.Same(t, store.loaded.State, reg.State())
}

func TestFailedCommitChangesNothing(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	store := newMemoryStore()
	reg := open(t, store)
	deploy(t, reg, "/a", "one")
	base := reg.State()
	next, _ := base.Put("/b", version("one"))

	store.fail["Save"] = errDisk
	require.ErrorIs(t, reg.Commit(context.Background(), base, next), errDisk)
	store.fail["Save"] = nil
	require.ErrorIs(t, reg.Commit(cancelled, base, next), context.Canceled)
	require.ErrorIs(t, reg.Commit(context.Background(), base, base), registry.ErrStale)
	require.ErrorIs(t, reg.Commit(context.Background(), &registry.State{}, next), registry.ErrStale)
	unheld, _ := base.Put("/b", version("never stored"))
	require.ErrorIs(t, reg.Commit(context.Background(), base, unheld), registry.ErrUnheldBlob)
	require.Same(t, base, reg.State())
	require.Same(t, base, store.loaded.State)

	require.NoError(t, reg.Commit(context.Background(), base, next))
	require.ErrorIs(t, reg.Commit(context.Background(), base, next), registry.ErrStale)
}

func TestCollectGarbageKeepsWhatIsNamedOrHeld(t *testing.T) {
	ctx := context.Background()
	store := newMemoryStore()
	reg := open(t, store)
	first := deploy(t, reg, "/a", "one")
	second := deploy(t, reg, "/a", "two")
	held, release, err := reg.PutBlob(ctx, []byte("three"))
	require.NoError(t, err)
	_, releaseToo, err := reg.PutBlob(ctx, []byte("three"))
	require.NoError(t, err)
	orphan := registry.DigestOf([]byte("orphan"))
	store.blobs[orphan] = []byte("orphan")

	collect := func(want int) {
		t.Helper()
		n, err := reg.CollectGarbage(ctx)
		require.NoError(t, err)
		require.Len(t, n, want)
	}
	collect(1)
	require.NotContains(t, store.blobs, orphan)
	require.Contains(t, store.blobs, first, "the history names it")
	require.Contains(t, store.blobs, second)
	release()
	release() // a second call does nothing
	collect(0)
	require.Contains(t, store.blobs, held, "held by the other")
	releaseToo()
	collect(1)

	base := reg.State()
	next, err := base.Remove("/a")
	require.NoError(t, err)
	require.NoError(t, reg.Commit(ctx, base, next))
	collect(2)
	require.Empty(t, store.blobs)
}

func TestCollectGarbageGoesOnAfterFailures(t *testing.T) {
	ctx := context.Background()
	store := newMemoryStore()
	reg := open(t, store)
	store.blobs[registry.DigestOf(nil)] = nil
	store.fail["DeleteBlob"] = errDisk
	n, err := reg.CollectGarbage(ctx)
	require.ErrorIs(t, err, errDisk)
	require.Zero(t, n)
	store.fail["Blobs"] = errDisk
	_, err = reg.CollectGarbage(ctx)
	require.ErrorIs(t, err, errDisk)
}

func TestCollectGarbageKeepsAllWhenTheStoreSaysSo(t *testing.T) {
	store := newMemoryStore()
	store.loaded.KeepBlobs = true
	store.blobs[registry.DigestOf(nil)] = nil
	n, err := open(t, store).CollectGarbage(context.Background())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Len(t, store.blobs, 1)
}

func TestFailedPutBlobHoldsNothing(t *testing.T) {
	store := newMemoryStore()
	reg := open(t, store)
	store.fail["PutBlob"] = errDisk
	_, _, err := reg.PutBlob(context.Background(), []byte("one"))
	require.ErrorIs(t, err, errDisk)
	next, _ := reg.State().Put("/a", version("one"))
	require.ErrorIs(t, reg.Commit(context.Background(), reg.State(), next), registry.ErrUnheldBlob)
}
