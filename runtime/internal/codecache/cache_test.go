package codecache

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func open(t *testing.T, dir string, o Options) *Cache {
	t.Helper()
	c, err := Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func key(n byte) Key { return Key{Module: Digest{n}, Code: Digest{n, 1}} }

// put adds a file of the given size.
func put(t *testing.T, c *Cache, k Key, bytes int) {
	t.Helper()
	dir, err := c.WorkDir()
	require.NoError(t, err)
	path := filepath.Join(dir, fmt.Sprintf("name%d", k.Module[0]))
	require.NoError(t, os.WriteFile(path, make([]byte, bytes), 0o600))
	require.NoError(t, c.Put(k, path))
	require.NoError(t, os.Remove(dir))
}

// has reports whether the cache has the file, under the name given to put.
func has(t *testing.T, c *Cache, k Key) bool {
	t.Helper()
	dir, err := c.WorkDir()
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	staged, err := c.Stage(k, dir)
	require.NoError(t, err)
	if staged != nil {
		require.FileExists(t, filepath.Join(dir, fmt.Sprintf("name%d", k.Module[0])))
		require.NoError(t, staged.Close())
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries)
	}
	return staged != nil
}

func stored(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, codeDir))
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// totals returns the sizes of the cache, without its counters of events.
func totals(c *Cache) Stats {
	s := c.Stats()
	return Stats{Files: s.Files, Bytes: s.Bytes}
}

func TestFilesAreFoundAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	c, err := Open(dir, Options{})
	require.NoError(t, err)
	require.False(t, has(t, c, key(1)))
	put(t, c, key(1), 10)
	other := key(1)
	other.Code[5] = 9
	require.True(t, has(t, c, key(1)))
	require.False(t, has(t, c, other), "code for another compiler")
	stats := totals(c)
	require.Equal(t, 1, stats.Files)
	require.NoError(t, c.Close())
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())

	c = open(t, dir, Options{})
	require.Equal(t, stats, totals(c))
	require.True(t, has(t, c, key(1)))
	put(t, c, other, 5000)
	require.False(t, has(t, c, key(1)), "one file for each module")
	require.Len(t, stored(t, dir), 1)
	require.Equal(t, 1, c.Stats().Files)
}

func TestDiskSpaceIsWhatCounts(t *testing.T) {
	c := open(t, t.TempDir(), Options{})
	put(t, c, key(1), 1)
	require.GreaterOrEqual(t, c.Stats().Bytes, int64(512), "a byte takes a block")
	require.NoError(t, c.Forget(key(1).Module))
	require.Zero(t, totals(c))
}

func TestLeastRecentlyUsedGoes(t *testing.T) {
	for name, o := range map[string]Options{"files": {Files: 2}, "bytes": {Bytes: 2 * 64 << 10}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir, o)
			put(t, c, key(1), 64<<10)
			put(t, c, key(2), 64<<10)
			require.True(t, has(t, c, key(1)), "and so used later than 2")
			put(t, c, key(3), 64<<10)
			require.False(t, has(t, c, key(2)))
			require.True(t, has(t, c, key(1)))
			require.True(t, has(t, c, key(3)))
			require.Len(t, stored(t, dir), 2)
			s := c.Stats()
			require.Equal(t, Stats{Files: 2, Bytes: s.Bytes, Hits: 3, Misses: 1, Evicted: 1}, s)
		})
	}
}

// The order of use survives a restart, and Open applies smaller limits.
func TestOpenTrims(t *testing.T) {
	dir := t.TempDir()
	c, err := Open(dir, Options{})
	require.NoError(t, err)
	for n := range byte(4) {
		put(t, c, key(n), 10)
		at := time.Now().Add(-time.Hour * time.Duration(4-n))
		require.NoError(t, os.Chtimes(filepath.Join(dir, codeDir, stored(t, dir)[n]), at, at))
	}
	require.True(t, has(t, c, key(0)))
	require.NoError(t, c.Close())
	c = open(t, dir, Options{Files: 2})
	for n, want := range []bool{true, false, false, true} {
		require.Equal(t, want, has(t, c, key(byte(n))), n)
	}
}

// A file larger than the cache leaves nothing behind, and evicts no file that fits.
func TestTooLarge(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{Bytes: 1})
	put(t, c, key(1), 10)
	require.Empty(t, stored(t, dir))
	require.Zero(t, totals(c))
}

func TestRetain(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{})
	for n := range byte(3) {
		put(t, c, key(n), 10)
	}
	require.NoError(t, c.Retain(func(module Digest) bool { return module[0] == 1 }))
	require.True(t, has(t, c, key(1)))
	require.Len(t, stored(t, dir), 1)
}

// A file removed from outside is a miss, and the totals reflect that.
func TestRemovedBehindTheCache(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{})
	put(t, c, key(1), 10)
	require.NoError(t, os.Remove(filepath.Join(dir, codeDir, stored(t, dir)[0])))
	require.False(t, has(t, c, key(1)))
	require.Zero(t, totals(c))
}

// A file whose content has changed is a miss, whichever bit it is, and is removed.
func TestDamagedFilesAreMisses(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{})
	for bit := range 8 * 40 {
		put(t, c, key(1), 40)
		path := filepath.Join(dir, codeDir, stored(t, dir)[0])
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		content[bit/8] ^= 1 << (bit % 8)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		require.False(t, has(t, c, key(1)), bit)
		require.Empty(t, stored(t, dir))
	}
	put(t, c, key(1), 40)
	require.NoError(t, os.Truncate(filepath.Join(dir, codeDir, stored(t, dir)[0]), 39))
	require.False(t, has(t, c, key(1)))
	require.Zero(t, totals(c))
}

func TestHalve(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{})
	require.NoError(t, c.Halve())
	for n := range byte(4) {
		put(t, c, key(n), 64<<10)
	}
	require.True(t, has(t, c, key(0)))
	require.NoError(t, c.Halve())
	require.Len(t, stored(t, dir), 2)
	require.True(t, has(t, c, key(0)))
	require.True(t, has(t, c, key(3)))
	require.EqualValues(t, 2, c.Stats().Evicted)
}

// Open removes files that do not belong to the cache: those of earlier versions, incomplete ones, and
// work directories of killed processes. It keeps the work directories of other running processes.
func TestForeignFilesGo(t *testing.T) {
	dir := t.TempDir()
	other := open(t, dir, Options{})
	theirs, err := other.WorkDir()
	require.NoError(t, err)
	put(t, other, key(1), 10)
	for _, name := range []string{"wazero-v1-x-y/aa", "code/short", "code/xx-yy-zz", "code/" + strings.Repeat("0", 32) + "-" + strings.Repeat("f", 32) + "-x", "code/dir/file", "uses/x", "snapshots/x", "snapshots/" + (&kept{code: key(9).Code}).fileName(), "uses/" + key(9).useName(), "work/123/file", "work/124/file", "work/124.lock", "old"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	}
	torn := "" // it must not take the place of the file with the same code
	for _, name := range stored(t, dir) {
		if f, ok := parseName(name); ok && f.code == key(1).Code {
			torn = filepath.Join(dir, codeDir, name+"-torn")
		}
	}
	require.NoError(t, os.WriteFile(torn, nil, 0o600))
	c, err := Open(dir, Options{})
	require.NoError(t, err)
	c.swept.Wait()
	require.True(t, has(t, c, key(1)))
	require.NoError(t, c.Close())
	require.DirExists(t, theirs)
	top, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, top, 6)
	require.Len(t, stored(t, dir), 1)
	work, err := os.ReadDir(filepath.Join(dir, workDir))
	require.NoError(t, err)
	require.Len(t, work, 2, "the other's directory and its lock")
}

// The running totals equal those of the directory after any sequence of operations by several goroutines.
func TestTotalsAreTheDirectorys(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{Files: 8, Bytes: 200 << 10})
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 150 {
				k := key(byte(random.IntN(16)))
				k.Code[3] = byte(random.IntN(2))
				switch random.IntN(4) {
				case 0:
					if c.Forget(k.Module) != nil {
						panic("forget")
					}
				case 1:
					work, err := c.WorkDir()
					if err != nil {
						panic(err)
					}
					staged, err := c.Stage(k, work)
					if err != nil {
						panic(err)
					}
					if staged != nil {
						_ = staged.Close()
					}
				default:
					work, err := c.WorkDir()
					if err != nil {
						panic(err)
					}
					path := filepath.Join(work, "name")
					if os.WriteFile(path, make([]byte, random.IntN(60<<10)), 0o600) != nil || c.Put(k, path) != nil {
						panic("put")
					}
				}
			}
		})
	}
	all.Wait()
	var bytes int64
	entries, err := os.ReadDir(filepath.Join(dir, codeDir))
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		bytes += diskBytes(info)
	}
	require.Equal(t, Stats{Files: len(entries), Bytes: bytes}, totals(c))
	require.LessOrEqual(t, len(entries), 8)
	require.LessOrEqual(t, bytes, int64(200<<10))
}

func FuzzParseName(f *testing.F) {
	f.Add((&file{code: key(1).Code, name: "a-b"}).fileName())
	f.Add(strings.Repeat("0", 64) + "-01234567-x")
	f.Add("--")
	f.Fuzz(func(t *testing.T, name string) {
		if parsed, ok := parseName(name); ok {
			require.Equal(t, strings.ToLower(name[:73])+name[73:], parsed.fileName())
		}
	})
}

func description(t *testing.T, c *Cache, id byte) string {
	t.Helper()
	text, code, ok := c.Description(Digest{id})
	if ok {
		require.Equal(t, key(id).Code, code)
	}
	return string(text)
}

func TestDescriptionsAreKeptWithTheCode(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	c, err := Open(dir, Options{})
	require.NoError(t, err)
	require.NoError(t, c.Describe(Digest{1}, key(1).Code, []byte("early")))
	require.Empty(t, description(t, c, 1), "there is no such code")
	for n := byte(1); n <= 3; n++ {
		put(t, c, key(n), 10)
		require.NoError(t, c.Describe(Digest{n}, key(n).Code, fmt.Append(nil, "about ", n)))
	}
	require.NoError(t, c.Describe(Digest{9}, key(3).Code, []byte("by another program")))
	require.Empty(t, description(t, c, 3), "each code has one")
	require.NoError(t, c.Describe(Digest{3}, key(3).Code, []byte("about 3")))
	before := totals(c)
	require.NoError(t, c.Close())

	files, err := filepath.Glob(filepath.Join(dir, aboutDir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	stray := filepath.Join(dir, aboutDir, "stray")
	require.NoError(t, os.WriteFile(stray, nil, 0o600))
	second, _, ok := parseAbout(filepath.Base(files[1]))
	require.True(t, ok)
	require.NoError(t, os.WriteFile(files[1], []byte("damaged"), 0o600))

	c = open(t, dir, Options{})
	require.Equal(t, before.Files, totals(c).Files)
	require.InDelta(t, before.Bytes, totals(c).Bytes, 8<<10)
	require.Empty(t, description(t, c, second.id[0]), "damaged")
	require.NoFileExists(t, files[1])
	require.Eventually(t, func() bool { _, err := os.Lstat(stray); return os.IsNotExist(err) }, time.Minute, time.Millisecond)
	require.Equal(t, "about 1", description(t, c, 1))
	require.NoError(t, c.Forget(key(1).Module))
	require.Empty(t, description(t, c, 1))
	require.NoError(t, c.Drop(key(2).Code))
	require.NoError(t, c.Drop(key(3).Code))
	require.Equal(t, Stats{}, totals(c))
	files, err = filepath.Glob(filepath.Join(dir, aboutDir, "*"))
	require.NoError(t, err)
	require.Empty(t, files)
}
