package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/vespo-dev/vespo/registry"
)

// Memory is a registry.Store for tests. It is lost with the process. It is safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	current *registry.State // guarded by mu; nil before Load
	feed    registry.Feed
}

// NewMemory returns a store with a state, which Load returns.
func NewMemory(state *registry.State) *Memory { return &Memory{current: state} }

var _ registry.Store = (*Memory)(nil)

// Load implements registry.Store.
func (m *Memory) Load(context.Context) (registry.Loaded, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.feed.Publish(m.current)
	return registry.Loaded{State: m.current}, nil
}

// Commit implements registry.Store.
func (m *Memory) Commit(ctx context.Context, base, next *registry.State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current != base || next.Generation <= base.Generation {
		return registry.ErrStale
	}
	if err := errors.Join(next.Check(), ctx.Err()); err != nil {
		return err
	}
	m.current = next
	m.feed.Publish(next)
	return nil
}

// Watch implements registry.Store.
func (m *Memory) Watch(ctx context.Context) iter.Seq[*registry.State] { return m.feed.Watch(ctx) }

// MemoryBlobs is a registry.BlobStore for tests. It is safe for concurrent use.
type MemoryBlobs struct {
	mu    sync.Mutex
	blobs map[registry.Digest][]byte // guarded by mu
}

// NewMemoryBlobs returns an empty store.
func NewMemoryBlobs() *MemoryBlobs {
	return &MemoryBlobs{blobs: make(map[registry.Digest][]byte)}
}

var _ registry.BlobStore = (*MemoryBlobs)(nil)

// Put implements registry.BlobStore.
func (m *MemoryBlobs) Put(_ context.Context, d registry.Digest, blob []byte) error {
	if registry.DigestOf(blob) != d {
		return fmt.Errorf("%w: the content does not have the digest %s", registry.ErrBlobCorrupt, d)
	}
	m.Damage(d, blob)
	return nil
}

// Damage stores a blob under any digest.
func (m *MemoryBlobs) Damage(d registry.Digest, blob []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blobs[d] = bytes.Clone(blob)
}

// Get implements registry.BlobStore.
func (m *MemoryBlobs) Get(_ context.Context, d registry.Digest) ([]byte, error) {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	blob, ok := m.blobs[d]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %s", registry.ErrBlobMissing, d)
	case registry.DigestOf(blob) != d:
		return nil, fmt.Errorf("%w: %s", registry.ErrBlobCorrupt, d)
	}
	return bytes.Clone(blob), nil
}

// Open implements registry.BlobStore.
func (m *MemoryBlobs) Open(_ context.Context, d registry.Digest) (io.ReadSeekCloser, error) {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	blob, ok := m.blobs[d]
	if !ok {
		return nil, fmt.Errorf("%w: %s", registry.ErrBlobMissing, d)
	}
	return reading{bytes.NewReader(blob)}, nil
}

type reading struct{ *bytes.Reader }

// Close implements io.Closer.
func (reading) Close() error { return nil }

// List implements registry.BlobStore.
func (m *MemoryBlobs) List(context.Context) ([]registry.Digest, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.blobs)), nil
}

// Delete implements registry.BlobStore.
func (m *MemoryBlobs) Delete(_ context.Context, d registry.Digest) error {
	if _, err := registry.ParseDigest(string(d)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blobs, d)
	return nil
}
