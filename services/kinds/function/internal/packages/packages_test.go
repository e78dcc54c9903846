package packages

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/durable/crashtest"
)

// archive returns an archive with entries of these names, each with its name and a mark as content. A name that
// ends with @ is a link.
func archive(t testing.TB, mark string, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		h := &zip.FileHeader{Name: strings.TrimSuffix(name, "@"), Method: zip.Deflate}
		if strings.HasSuffix(name, "@") {
			h.SetMode(os.ModeSymlink | 0o777)
		}
		f, err := w.CreateHeader(h)
		require.NoError(t, err)
		if !strings.HasSuffix(h.Name, "/") { // not a directory
			_, err = f.Write([]byte(h.Name + mark))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func reader(archive []byte) func() ([]byte, error) {
	return func() ([]byte, error) { return archive, nil }
}

func unreachable() ([]byte, error) { return nil, errors.New("the archive is not needed") }

// unpacked returns the names in the directory of a cache.
func unpacked(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestUse(t *testing.T) {
	dir := t.TempDir()
	c := New(durable.Dir(dir))
	code := archive(t, "", "bootstrap", `a\b/c.txt`, "empty/", "twice", "twice")
	d := DigestOf(code)
	release, err := c.Use(t.Context(), d, reader(code))
	require.NoError(t, err)
	again, err := c.Use(t.Context(), d, unreachable)
	require.NoError(t, err)
	again()
	info, err := os.Stat(filepath.Join(dir, string(d), "bootstrap"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o100, "it can be started")
	text, err := os.ReadFile(filepath.Join(dir, string(d), "a", "b", "c.txt"))
	require.NoError(t, err)
	require.Equal(t, `a\b/c.txt`, string(text))
	require.DirExists(t, filepath.Join(dir, string(d), "empty"))
	release()
	require.Equal(t, []string{string(d)}, unpacked(t, dir), "kept for later")

	_, err = c.Use(t.Context(), DigestOf([]byte("other")), reader(code))
	require.ErrorContains(t, err, "digest")
	_, err = c.Use(t.Context(), "../x", reader(code))
	require.ErrorContains(t, err, "digest")
	_, err = c.Use(t.Context(), DigestOf([]byte("other")), unreachable)
	require.ErrorContains(t, err, "not needed")
	require.Len(t, unpacked(t, dir), 1)
}

// TestInvalid checks that a refused archive leaves nothing, inside of the cache and outside.
func TestInvalid(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "cache"), 0o700))
	c := New(durable.Dir(filepath.Join(dir, "cache")))
	for name, code := range map[string][]byte{
		"not zip":           []byte("PK no"),
		"empty":             archive(t, ""),
		"no program":        archive(t, "", "a"),
		"parent":            archive(t, "", "bootstrap", "../x"),
		"absolute":          archive(t, "", "bootstrap", "/x"),
		"through a parent":  archive(t, "", "bootstrap", "a/../../x"),
		"backslashes":       archive(t, "", "bootstrap", `a\..\..\x`),
		"link":              archive(t, "", "bootstrap", "link@"),
		"below a link":      archive(t, "", "bootstrap", "link@", "link/x"),
		"file as directory": archive(t, "", "bootstrap", "a", "a/b"),
		"directory as file": archive(t, "", "bootstrap", "a/b", "a"),
		"no name":           archive(t, "", "bootstrap", ""),
		"CR LF":             archive(t, "\r\n", "bootstrap", "#!/bin/sh"),
		"damaged content":   bytes.Replace(archive(t, strings.Repeat("x", 99), "bootstrap"), []byte("bootstrap"), []byte("bootstrap"), 1),
	} {
		if name == "damaged content" {
			code[45] ^= 0xff
		}
		if name == "CR LF" {
			code = script(t, "#!/bin/sh\r\nexit\r\n")
		}
		_, err := c.Use(t.Context(), DigestOf(code), reader(code))
		var refused Invalid
		require.ErrorAs(t, err, &refused, name)
		require.Empty(t, unpacked(t, filepath.Join(dir, "cache")), name)
	}
	require.Equal(t, []string{"cache"}, unpacked(t, dir))
}

// script returns an archive whose program is a text.
func script(t testing.TB, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.Create(Bootstrap)
	require.NoError(t, err)
	_, err = f.Write([]byte(text))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestTooLarge(t *testing.T) {
	dir := t.TempDir()
	c := New(durable.Dir(dir))
	c.maxBytes = 50
	code := archive(t, strings.Repeat("x", 15), "bootstrap", "a")
	release, err := c.Use(t.Context(), DigestOf(code), reader(code))
	require.NoError(t, err)
	release()
	for _, code := range [][]byte{
		archive(t, strings.Repeat("x", 15), "bootstrap", "a", "b"),
		archive(t, strings.Repeat("x", 45), "bootstrap"),
		archive(t, strings.Repeat("0", 1<<20), "bootstrap"), // 1 KB in the archive
	} {
		_, err := c.Use(t.Context(), DigestOf(code), reader(code))
		require.ErrorContains(t, err, "larger than 50 bytes")
		require.Len(t, unpacked(t, dir), 1)
	}
}

// TestRetain checks that an archive is deleted once it is neither wanted nor in use.
func TestRetain(t *testing.T) {
	dir := t.TempDir()
	c := New(durable.Dir(dir))
	require.NoError(t, New(durable.Dir(filepath.Join(dir, "none"))).Retain(nil), "an empty cache has no directory")
	var digests []Digest
	var releases []func()
	for n := range 3 {
		code := archive(t, fmt.Sprint(n), "bootstrap", "a/b")
		release, err := c.Use(t.Context(), DigestOf(code), reader(code))
		require.NoError(t, err)
		digests, releases = append(digests, DigestOf(code)), append(releases, release)
	}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "new-7", "half"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "foreign"), 0o700))
	require.NoError(t, c.Retain(map[Digest]bool{digests[0]: true}))
	require.ElementsMatch(t, []string{string(digests[0]), string(digests[1]), string(digests[2]), "foreign"}, unpacked(t, dir), "in use")
	for _, release := range releases {
		release()
		release() // once only
	}
	require.ElementsMatch(t, []string{string(digests[0]), "foreign"}, unpacked(t, dir))
	require.NoError(t, c.Retain(nil))
	require.Equal(t, []string{"foreign"}, unpacked(t, dir))
}

// TestTogether unpacks, uses, retains and releases from many goroutines. Archives in use are whole.
func TestTogether(t *testing.T) {
	dir := t.TempDir()
	c := New(durable.Dir(dir))
	codes := [][]byte{archive(t, "0", "bootstrap", "a/b"), archive(t, "1", "bootstrap", "a/b")}
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 30 {
				code := codes[(worker+i)%2]
				release, err := c.Use(t.Context(), DigestOf(code), reader(code))
				if err != nil {
					t.Error(err)
					return
				}
				text, err := os.ReadFile(filepath.Join(dir, string(DigestOf(code)), "a", "b"))
				if want := fmt.Sprint("a/b", (worker+i)%2); err != nil || string(text) != want {
					t.Errorf("%q, want %q: %v", text, want, err)
				}
				if err := c.Retain(map[Digest]bool{DigestOf(codes[i%2]): true}); err != nil {
					t.Error(err)
				}
				release()
			}
		})
	}
	all.Wait()
	require.NoError(t, c.Retain(nil))
	require.Empty(t, unpacked(t, dir))
}

// keptCache is a cache for the crash suite. Its directories can be lost, but not be there in part.
type keptCache struct {
	*Cache
	codes [][]byte
}

// Step uses an archive and then retains only the last two.
func (k keptCache) Step(n int) error {
	code := k.codes[n%len(k.codes)]
	release, err := k.Use(context.Background(), DigestOf(code), reader(code))
	if err != nil {
		return err
	}
	defer release()
	wanted := map[Digest]bool{DigestOf(code): true, DigestOf(k.codes[(n+len(k.codes)-1)%len(k.codes)]): true}
	_ = k.Retain(wanted) // after a failure there is more to delete next time
	return nil
}

// State returns the archives whose files are not whole: none.
func (k keptCache) State() any {
	broken := []string{}
	for _, code := range k.codes {
		d := DigestOf(code)
		if !k.Has(d) {
			continue
		}
		for _, f := range []string{"bootstrap", "a/b", "a/c"} {
			text, err := k.fs.ReadFile(string(d)+"/"+f, 1<<20)
			if err != nil || !strings.HasPrefix(string(text), f) {
				broken = append(broken, fmt.Sprint(d, " ", f, " ", string(text), err))
			}
		}
	}
	return broken
}

func (k keptCache) Close() error { return nil }

func TestCrash(t *testing.T) {
	codes := [][]byte{}
	for n := range 3 {
		codes = append(codes, archive(t, fmt.Sprint(n), "bootstrap", "a/b", "a/c"))
	}
	crashtest.Run(t, crashtest.Subject{
		Steps: 5,
		Open: func(fsys durable.FS) (crashtest.Kept, error) {
			return keptCache{Cache: New(fsys), codes: codes}, nil
		},
	})
}

// FuzzUse checks that no archive can write outside of its directory.
func FuzzUse(f *testing.F) {
	f.Add("bootstrap", "../a")
	f.Add("a/b", "a@")
	f.Add("..\\x", "C:\\x")
	f.Fuzz(func(t *testing.T, one, two string) {
		dir := t.TempDir()
		require.NoError(t, os.Mkdir(filepath.Join(dir, "cache"), 0o700))
		code := archive(t, "", "bootstrap", one, two)
		_, err := New(durable.Dir(filepath.Join(dir, "cache"))).Use(t.Context(), DigestOf(code), reader(code))
		require.Equal(t, []string{"cache"}, unpacked(t, dir))
		want := 1
		if err != nil {
			want = 0
		}
		require.Len(t, unpacked(t, filepath.Join(dir, "cache")), want, "%v", err)
	})
}
