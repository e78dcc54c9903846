package storetest

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

// Blobs is where a BlobStore keeps its blobs. Each test gets an empty one of its own.
type Blobs struct {
	// Open opens the store, as Medium.Open does.
	Open func(t *testing.T) (blobs registry.BlobStore, done func())
	// Damage stores a content under a digest that it does not have.
	Damage func(t *testing.T, d registry.Digest, content []byte)
	// Volatile is set if the content is lost with the store.
	Volatile bool
}

// RunBlobs runs the tests of a registry.BlobStore.
func RunBlobs(t *testing.T, medium func(t *testing.T) Blobs) {
	for name, test := range map[string]func(*testing.T, Blobs){
		"PutAndGet":  putAndGet,
		"Missing":    missing,
		"Corrupt":    corrupt,
		"Digests":    digests,
		"Concurrent": concurrent,
	} {
		t.Run(name, func(t *testing.T) { test(t, medium(t)) })
	}
}

func putAndGet(t *testing.T, m Blobs) {
	ctx := t.Context()
	blobs, done := m.Open(t)
	contents := [][]byte{{}, []byte("one"), bytes.Repeat([]byte{0}, 3<<20)}
	var all []registry.Digest
	for _, content := range contents {
		d := registry.DigestOf(content)
		all = append(all, d)
		require.NoError(t, blobs.Put(ctx, d, content))
		require.NoError(t, blobs.Put(ctx, d, content), "again")
	}
	if !m.Volatile {
		done()
		blobs, done = m.Open(t)
	}
	defer done()
	slices.Sort(all)
	listed, err := blobs.List(ctx)
	require.NoError(t, err)
	slices.Sort(listed)
	require.Equal(t, all, listed)
	for _, content := range contents {
		got, err := blobs.Get(ctx, registry.DigestOf(content))
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, got))
		clear(got) // the caller's
		again, err := blobs.Get(ctx, registry.DigestOf(content))
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, again))
		requirePart(t, blobs, content)
	}
}

// requirePart reads the second half of a blob.
func requirePart(t *testing.T, blobs registry.BlobStore, content []byte) {
	part, err := blobs.Open(t.Context(), registry.DigestOf(content))
	require.NoError(t, err)
	size, err := part.Seek(0, io.SeekEnd)
	require.NoError(t, err)
	require.EqualValues(t, len(content), size)
	_, err = part.Seek(size/2, io.SeekStart)
	require.NoError(t, err)
	half, err := io.ReadAll(part)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content[size/2:], half))
	require.NoError(t, part.Close())
}

func missing(t *testing.T, m Blobs) {
	ctx := t.Context()
	blobs, done := m.Open(t)
	defer done()
	d := registry.DigestOf([]byte("one"))
	_, err := blobs.Get(ctx, d)
	require.ErrorIs(t, err, registry.ErrBlobMissing)
	_, err = blobs.Open(ctx, d)
	require.ErrorIs(t, err, registry.ErrBlobMissing)
	require.NoError(t, blobs.Delete(ctx, d))
	require.NoError(t, blobs.Put(ctx, d, []byte("one")))
	require.NoError(t, blobs.Delete(ctx, d))
	_, err = blobs.Get(ctx, d)
	require.ErrorIs(t, err, registry.ErrBlobMissing)
	listed, err := blobs.List(ctx)
	require.NoError(t, err)
	require.Empty(t, listed)
}

func corrupt(t *testing.T, m Blobs) {
	ctx := t.Context()
	blobs, done := m.Open(t)
	defer done()
	d := registry.DigestOf([]byte("one"))
	require.ErrorIs(t, blobs.Put(ctx, d, []byte("two")), registry.ErrBlobCorrupt)
	_, err := blobs.Get(ctx, d)
	require.ErrorIs(t, err, registry.ErrBlobMissing, "a refused one is not stored")
	for _, damaged := range []string{"", "on", "one\x00", "two"} {
		m.Damage(t, d, []byte(damaged))
		_, err := blobs.Get(ctx, d)
		require.ErrorIs(t, err, registry.ErrBlobCorrupt)
		listed, err := blobs.List(ctx)
		require.NoError(t, err)
		require.Equal(t, []registry.Digest{d}, listed)
		require.NoError(t, blobs.Put(ctx, d, []byte("one")))
		got, err := blobs.Get(ctx, d)
		require.NoError(t, err)
		require.Equal(t, "one", string(got), "it is replaced")
	}
}

// digests passes values that could leave a directory or name another file.
func digests(t *testing.T, m Blobs) {
	ctx := t.Context()
	blobs, done := m.Open(t)
	defer done()
	hex := registry.DigestOf(nil).Hex()
	for _, d := range []registry.Digest{"", "sha256:", "sha256:../../manifest.json", "../lock", registry.Digest(hex), registry.Digest("sha512:" + hex), registry.Digest("sha256:" + hex + "/x")} {
		_, err := blobs.Get(ctx, d)
		require.ErrorIs(t, err, registry.ErrDigest, "%q", d)
		_, err = blobs.Open(ctx, d)
		require.ErrorIs(t, err, registry.ErrDigest, "%q", d)
		require.ErrorIs(t, blobs.Delete(ctx, d), registry.ErrDigest, "%q", d)
		require.Error(t, blobs.Put(ctx, d, nil), "%q", d)
	}
	listed, err := blobs.List(ctx)
	require.NoError(t, err)
	require.Empty(t, listed)
}

// concurrent puts, reads and deletes from many goroutines. A blob is read whole or not at all.
func concurrent(t *testing.T, m Blobs) {
	ctx := t.Context()
	blobs, done := m.Open(t)
	defer done()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 20 {
				shared := bytes.Repeat(fmt.Appendf(nil, "%d", i%3), 5000)
				d := registry.DigestOf(shared)
				if err := blobs.Put(ctx, d, shared); err != nil {
					t.Errorf("put: %v", err)
				}
				if got, err := blobs.Get(ctx, d); err != nil || !bytes.Equal(got, shared) {
					t.Errorf("get: %v", err)
				}
				own := fmt.Appendf(nil, "%d of %d", i, worker)
				if err := blobs.Put(ctx, registry.DigestOf(own), own); err != nil {
					t.Errorf("put: %v", err)
				}
				if err := blobs.Delete(ctx, registry.DigestOf(own)); err != nil {
					t.Errorf("delete: %v", err)
				}
			}
		})
	}
	all.Wait()
	listed, err := blobs.List(ctx)
	require.NoError(t, err)
	require.Len(t, listed, 3)
}
