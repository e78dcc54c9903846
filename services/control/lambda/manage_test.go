package lambda

import (
	"archive/zip"
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
)

func TestVersionOf(t *testing.T) {
	for prefix, want := range map[registry.Prefix]string{"/fn~1": "1", "/a/b~27": "27", "/fn": "", "/fn~": "", "/fn~x": "", "/fn~01": "", "/fn~0": "", "/~1": ""} {
		base, number, ok := versionOf(prefix)
		require.Equal(t, want != "", ok, prefix)
		require.Equal(t, want, number)
		if ok {
			require.Equal(t, prefix, versionPrefix(base, number))
		}
	}
}

func TestAliasChoosesByWeight(t *testing.T) {
	a := &alias{Version: "1", Weights: map[string]float64{"2": 0.25}}
	counts := map[string]int{}
	for i := range 1000 {
		counts[a.choose(float64(i)/1000)]++
	}
	require.Equal(t, map[string]int{"1": 750, "2": 250}, counts)
	require.Equal(t, "1", (&alias{Version: "1"}).choose(0))
	require.Equal(t, "2", (&alias{Version: "1", Weights: map[string]float64{"2": 1}}).choose(0.9999))
}

func TestBook(t *testing.T) {
	dir := t.TempDir()
	b, err := openBook(dir)
	require.NoError(t, err)
	set := func(description string) func(*record) error {
		return func(r *record) error {
			r.Description = description
			r.Aliases = map[string]*alias{"prod": {Version: "1"}}
			return nil
		}
	}
	require.NoError(t, b.change("fn", set("one")))
	require.NoError(t, b.change("other", set("two")))
	refused := errors.New("no")
	require.ErrorIs(t, b.change("fn", func(r *record) error {
		r.Aliases["prod"].Version = "9"
		return refused
	}), refused)
	require.Equal(t, "1", b.get("fn").Aliases["prod"].Version, "a refused change changes nothing")
	b.forget("other", slog.New(slog.DiscardHandler))

	b, err = openBook(dir)
	require.NoError(t, err)
	require.Equal(t, "one", b.get("fn").Description)
	require.Empty(t, b.get("other"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, bookName), []byte("{"), 0o600))
	_, err = openBook(dir)
	require.Error(t, err, "what cannot be read is not written over")
}

func TestBookThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	b, err := openBook(dir)
	require.NoError(t, err)
	require.Error(t, b.change("fn", func(r *record) error { r.Role = "role"; return nil }))
	require.Empty(t, b.get("fn"))
}

func TestRunning(t *testing.T) {
	var c running
	two := 2
	first, err := c.begin("fn", &two)
	require.NoError(t, err)
	second, err := c.begin("fn", &two)
	require.NoError(t, err)
	_, err = c.begin("fn", &two)
	require.Error(t, err)
	_, err = c.begin("other", nil)
	require.NoError(t, err)
	first()
	second()
	zero := 0
	_, err = c.begin("fn", &zero)
	require.Error(t, err, "0 is none")
	require.Equal(t, map[string]int{"other": 1}, c.counts)
}

// archive returns an archive with entries of these names. A name that ends with @ is a link.
func archive(t testing.TB, names ...string) *zip.Reader {
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
			_, err = f.Write([]byte("../../outside"))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	r, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	return r
}

func TestExtract(t *testing.T) {
	dir := t.TempDir()
	to := filepath.Join(dir, "code", "digest")
	require.NoError(t, extract(archive(t, "bootstrap", "a/b/c.txt"), to))
	info, err := os.Stat(filepath.Join(to, "bootstrap"))
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&0o100, "it can be started")
	require.FileExists(t, filepath.Join(to, "a", "b", "c.txt"))
	require.NoError(t, extract(archive(t, "bootstrap"), to), "it is there")

	for _, names := range [][]string{{"../x"}, {"/x"}, {"a/../../x"}, {"link@"}, {"link@", "link/x"}, {"a", "a/b"}, {""}} {
		require.Error(t, extract(archive(t, names...), filepath.Join(dir, "code", "other")), "%q", names)
	}
	left, err := os.ReadDir(filepath.Join(dir, "code"))
	require.NoError(t, err)
	require.Len(t, left, 1, "what was refused leaves nothing")
	top, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, top, 1)
}

// FuzzExtract checks that no archive can write outside of its directory.
func FuzzExtract(f *testing.F) {
	f.Add("bootstrap", "../a")
	f.Add("a/b", "a@")
	f.Add("..\\x", "C:\\x")
	f.Fuzz(func(t *testing.T, one, two string) {
		dir := t.TempDir()
		err := extract(archive(t, one, two), filepath.Join(dir, "code", "digest"))
		top, readErr := os.ReadDir(dir)
		require.NoError(t, readErr)
		require.Len(t, top, 1, "beside code there is nothing")
		if err != nil {
			require.NoDirExists(t, filepath.Join(dir, "code", "digest"))
		}
	})
}
