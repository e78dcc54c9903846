package filestore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
)

// put deploys blob at prefix and returns its digest.
func put(t *testing.T, reg *registry.Registry, key routekey.Key, blob string) registry.Digest {
	t.Helper()
	digest, release, err := reg.PutBlob(context.Background(), []byte(blob))
	require.NoError(t, err)
	defer release()
	base := reg.State()
	next, _ := base.Put(key, registry.Version{
		Kind:     "wasm",
		Blobs:    []registry.Blob{{Field: "module", Digest: digest, SizeBytes: int64(len(blob))}},
		Deployed: time.Now(),
	})
	require.NoError(t, reg.Commit(context.Background(), base, next))
	return digest
}

// opened opens a registry over a directory. close unlocks the directory.
func opened(t *testing.T, dir string) (reg *registry.Registry, problems []registry.Problem, close func()) {
	t.Helper()
	store, err := Open(dir)
	require.NoError(t, err)
	reg, problems, err = registry.Open(context.Background(), store, store.Blobs())
	require.NoError(t, err)
	return reg, problems, func() { require.NoError(t, store.Close()) }
}

func blobPath(dir string, d registry.Digest) string {
	return filepath.Join(dir, "blobs", "sha256", d.Hex())
}

func subjects(problems []registry.Problem) []string {
	var all []string
	for _, p := range problems {
		all = append(all, p.Subject)
	}
	return all
}

func TestStoreKeepsCatalogue(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	reg, problems, done := opened(t, dir)
	require.Empty(t, problems)
	require.Zero(t, reg.State().Generation)
	digest := put(t, reg, routekey.MustParse("/a"), "first")
	put(t, reg, routekey.MustParse("/a"), "second")
	want := reg.State()
	done()

	reg, problems, done = opened(t, dir)
	defer done()
	require.Empty(t, problems)
	require.Equal(t, want, reg.State())
	blob, err := reg.Blob(context.Background(), digest)
	require.NoError(t, err)
	require.Equal(t, "first", string(blob))
	require.DirExists(t, filepath.Join(dir, "cache"))
	info, err := os.Stat(blobPath(dir, digest))
	require.NoError(t, err)
	require.Zero(t, info.Mode().Perm()&0o077, "modules are their owner's")
}

func TestSecondStoreOnDirectoryRefuses(t *testing.T) {
	dir := t.TempDir()
	_, _, done := opened(t, dir)
	_, err := Open(dir)
	require.ErrorIs(t, err, ErrLocked)
	require.ErrorContains(t, err, dir)
	done()
	_, _, done = opened(t, dir)
	done()
}

func TestOpenRefusesFileForDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := Open(filepath.Join(path, "data"))
	require.ErrorContains(t, err, path)
}

func TestTornManifestFallsBackToPrevious(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"empty":   func([]byte) []byte { return nil },
		"bit rot": func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"foreign": func([]byte) []byte { return []byte("#!/bin/sh\n") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			reg, _, done := opened(t, dir)
			put(t, reg, routekey.MustParse("/a"), "first")
			want := reg.State()
			lost := put(t, reg, routekey.MustParse("/b"), "second")
			done()
			path := filepath.Join(dir, "manifest.json")
			data, err := os.ReadFile(path)
			require.NoError(t, err)
			damaged := damage(data)
			require.NoError(t, os.WriteFile(path, damaged, 0o600))

			reg, problems, done := opened(t, dir)
			defer done()
			require.Contains(t, subjects(problems), "manifest.json")
			require.Equal(t, want.Services, reg.State().Services)
			require.EqualValues(t, 2, reg.State().Generation, "the lost generation is not given twice")
			kept, err := os.ReadFile(filepath.Join(dir, "setaside", "manifest.json.1"))
			require.NoError(t, err)
			require.Equal(t, string(damaged), string(kept))

			n, err := reg.CollectGarbage(context.Background())
			require.NoError(t, err)
			require.Zero(t, n)
			require.FileExists(t, blobPath(dir, lost), "it may be all that is left of an acknowledged deploy")
			put(t, reg, routekey.MustParse("/c"), "third")
		})
	}
}

func TestBothManifestsTorn(t *testing.T) {
	dir := t.TempDir()
	reg, _, done := opened(t, dir)
	put(t, reg, routekey.MustParse("/a"), "first")
	digest := put(t, reg, routekey.MustParse("/a"), "second")
	done()
	for _, name := range []string{"manifest.json", "manifest.json.prev"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("garbage"), 0o600))
	}
	reg, problems, done := opened(t, dir)
	require.Contains(t, subjects(problems), "manifest.json.prev")
	require.Empty(t, reg.State().Services)
	put(t, reg, routekey.MustParse("/b"), "third")
	done()

	reg, problems, done = opened(t, dir)
	defer done()
	require.Len(t, problems, 2, "it is said again for as long as they lie there: %v", problems)
	require.Len(t, reg.State().Services, 1)
	_, err := reg.CollectGarbage(context.Background())
	require.NoError(t, err)
	require.FileExists(t, blobPath(dir, digest))
}

func TestNewerManifestIsNotTouched(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "manifest.json")
	newer := []byte(`{"format":"vespo catalogue","version":5,"catalogue":{}}`)
	require.NoError(t, os.WriteFile(path, newer, 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "blobs", "sha512"), 0o700))
	store, err := Open(dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	_, _, err = registry.Open(context.Background(), store, store.Blobs())
	require.ErrorIs(t, err, errNewer)
	require.ErrorContains(t, err, dir)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, newer, data)
	require.DirExists(t, filepath.Join(dir, "blobs", "sha512"), "the newer version knows what that is")
}

func TestForeignFilesAreSetAsideOrLeftAlone(t *testing.T) {
	dir := t.TempDir()
	reg, _, done := opened(t, dir)
	put(t, reg, routekey.MustParse("/a"), "first")
	want := reg.State()
	done()
	write := func(name string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("garbage"), 0o600))
	}
	long := strings.Repeat("n", 255)
	write("notes.txt")
	write(".hidden")
	write("blobs/readme")
	write("blobs/sha256/readme")
	write("blobs/sha256/" + long)
	write("blobs/sha256/" + registry.DigestOf(nil).Hex() + "/inside")
	write("setaside/readme.1")
	write("tmp/7")
	for _, dir := range []string{queueDir, kvDir, schedulesDir, tokensDir, usageDir, auditDir, followDir, partialDir, hostDir} {
		write(dir + "/own")
	}

	reg, problems, done := opened(t, dir)
	defer done()
	require.Equal(t, want, reg.State())
	require.ElementsMatch(t, []string{
		"notes.txt", "blobs/readme", "blobs/sha256/readme", "blobs/sha256/" + long,
		"blobs/sha256/" + registry.DigestOf(nil).Hex(),
	}, subjects(problems))
	require.FileExists(t, filepath.Join(dir, "notes.txt"))
	require.FileExists(t, filepath.Join(dir, ".hidden"))
	require.FileExists(t, filepath.Join(dir, "setaside", "readme.2"))
	require.FileExists(t, filepath.Join(dir, "setaside", "readme.3"))
	require.NoFileExists(t, filepath.Join(dir, "tmp", "7"))
	put(t, reg, routekey.MustParse("/empty"), "")
}

func TestManifestThatIsADirectoryIsSetAside(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "manifest.json", "x"), 0o700))
	reg, problems, done := opened(t, dir)
	defer done()
	require.NotEmpty(t, problems)
	put(t, reg, routekey.MustParse("/a"), "first")
	require.DirExists(t, filepath.Join(dir, "setaside", "manifest.json.1"))
}

func TestBitRotOfBlobIsFoundAndMended(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	reg, _, done := opened(t, dir)
	defer done()
	digest := put(t, reg, routekey.MustParse("/a"), "first")
	require.NoError(t, os.WriteFile(blobPath(dir, digest), []byte("fi5st"), 0o600))
	_, err := reg.Blob(ctx, digest)
	require.ErrorIs(t, err, registry.ErrBlobCorrupt)

	put(t, reg, routekey.MustParse("/a"), "first")
	blob, err := reg.Blob(ctx, digest)
	require.NoError(t, err)
	require.Equal(t, "first", string(blob))
	rotten, err := os.ReadFile(filepath.Join(dir, "setaside", digest.Hex()+".1"))
	require.NoError(t, err)
	require.Equal(t, "fi5st", string(rotten))

	require.NoError(t, os.Remove(blobPath(dir, digest)))
	_, err = reg.Blob(ctx, digest)
	require.ErrorIs(t, err, registry.ErrBlobMissing)
}

// TestHammer puts, commits, reads and collects from many goroutines over real files. Blobs that are held or
// referenced are always present.
func TestHammer(t *testing.T) {
	ctx := context.Background()
	reg, _, done := opened(t, t.TempDir())
	defer done()
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			key := routekey.MustParse("/" + string(rune('a'+worker%3)))
			for i := range 20 {
				digest, release, err := reg.PutBlob(ctx, []byte{byte(i % 5)})
				if !assert.NoError(t, err) {
					return
				}
				for {
					base := reg.State()
					next, _ := base.Put(key, registry.Version{Kind: "wasm", Blobs: []registry.Blob{{Field: "module", Digest: digest, SizeBytes: 1}}})
					if err := reg.Commit(ctx, base, next); !errors.Is(err, registry.ErrStale) {
						assert.NoError(t, err)
						break
					}
				}
				release()
				_, err = reg.CollectGarbage(ctx)
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 8*20, reg.State().Generation)
	for digest := range reg.State().Digests() {
		_, err := reg.Blob(ctx, digest)
		require.NoError(t, err)
	}
}

// TestStateThatCannotBeReadBack refuses a catalogue that is too large for its reader, instead of losing it at the next
// start.
func TestStateThatCannotBeReadBack(t *testing.T) {
	store, err := Open(t.TempDir())
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	store.maxBytes = 2000
	loaded, err := store.Load(t.Context())
	require.NoError(t, err)
	state := loaded.State
	for n := 0; ; n++ {
		next := state.PutRecord(fmt.Sprintf("k/%d", n), registry.Record{Kind: "k", Manifest: `{"a":"some text"}`})
		if err = store.Commit(t.Context(), state, next); err != nil {
			break
		}
		state = next
	}
	require.ErrorIs(t, err, registry.ErrInvalidState)
	require.Greater(t, len(state.Records), 3)
	again, err := store.Load(t.Context())
	require.NoError(t, err)
	require.Equal(t, state, again.State)
}

// A removed directory of blobs is made anew for the next one, but not that of the store: its disk may not be mounted any more.
func TestRemovedBlobDirectoryIsMadeAnew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	reg, _, end := opened(t, dir)
	defer end()
	blob := []byte("module")
	put := func() error {
		_, release, err := reg.PutBlob(t.Context(), blob)
		if err == nil {
			release()
		}
		return err
	}
	require.NoError(t, put())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "blobs")))
	require.NoError(t, put())
	require.FileExists(t, blobPath(dir, registry.DigestOf(blob)))
	require.NoError(t, os.Rename(dir, dir+"2"))
	require.ErrorIs(t, put(), os.ErrNotExist)
	require.NoDirExists(t, dir)
}
