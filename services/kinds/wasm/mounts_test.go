package wasm_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// newRoot creates a root with a directory to mount, and secret files next to it.
func newRoot(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"content/a.txt": "first file", "content/sub/b.txt": "second file", "secret.txt": "hidden", "content2/c.txt": "another",
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	require.NoError(t, os.Symlink("../secret.txt", filepath.Join(dir, "content/out")))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "content/passwd")))
	require.NoError(t, os.Symlink("sub/b.txt", filepath.Join(dir, "content/in")))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	return root, dir
}

func TestMountsAreReadOnlyAndLeadNowhereElse(t *testing.T) {
	root, dir := newRoot(t)
	s := newServer(t, wasm.Config{Root: root})
	s.add("/f", guests.Go(t, "gofiles"), servicetest.WithMounts(map[string]string{"/content": "content", "/more": "content2"}))

	a := s.get("/f/content/a.txt")
	require.Equal(t, 200, a.StatusCode, a.Body)
	require.Equal(t, "first file", a.Body)
	require.Equal(t, "second file", s.get("/f/content/sub/b.txt").Body)
	require.Equal(t, "second file", s.get("/f/content/in").Body, "a link that stays inside")
	require.Equal(t, "another", s.get("/f/more/c.txt").Body)
	require.Equal(t, "a.txt false\nin false\nout false\npasswd false\nsub true", s.get("/f/content").Body)
	require.Equal(t, "fir|ile|ir", s.get("/f/content/a.txt?twice").Body)
	require.Equal(t, "fir|ile|ir", s.get("/f/content/a.txt?twice").Body, "nothing is left open from the request before")
	require.Contains(t, s.get("/f/content/a.txt?many").Body, "open, then:")

	for _, path := range []string{"content/out", "content/passwd", "content/..%2fsecret.txt", "etc/passwd", "secret.txt", "content/none"} {
		a := s.get("/f/" + path)
		require.NotContains(t, a.Body, "hidden")
		require.NotContains(t, a.Body, "root:")
		require.NotContains(t, a.Body, dir, "the host's paths are not the guest's to know")
		require.Equal(t, 404, a.StatusCode, "%s: %s", path, a.Body)
	}
	require.Equal(t, 404, s.get("/f/content/a.txt?write").StatusCode)
	text, err := os.ReadFile(filepath.Join(dir, "content/a.txt"))
	require.NoError(t, err)
	require.Equal(t, "first file", string(text))
	entries, err := os.ReadDir(filepath.Join(dir, "content"))
	require.NoError(t, err)
	require.Len(t, entries, 5)
}

// The next request must see a directory that a build has removed and recreated.
func TestMountsFollowTheirNames(t *testing.T) {
	root, dir := newRoot(t)
	s := newServer(t, wasm.Config{Root: root})
	d := s.add("/f", guests.Go(t, "gofiles"), servicetest.WithMounts(map[string]string{"/content": "content"}))
	require.Equal(t, "first file", s.get("/f/content/a.txt").Body)
	require.Empty(t, d.Status().Target)
	for range 2 {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "content")))
		require.Equal(t, 404, s.get("/f/content/a.txt").StatusCode)
		require.Equal(t, "mount /content: the directory is gone", d.Status().Target)
		require.NoError(t, os.Mkdir(filepath.Join(dir, "content"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "content/a.txt"), []byte("built again"), 0o644))
		require.Equal(t, "built again", s.get("/f/content/a.txt").Body)
		require.Contains(t, d.Status().Target, "mount /content: replaced ")
	}
	require.Contains(t, s.Log.String(), "the directory of a service is gone")
	require.Contains(t, s.Log.String(), "the new one is served")
}

func TestFilesOfARequestAreClosedAtItsEnd(t *testing.T) {
	root, _ := newRoot(t)
	s := newServer(t, wasm.Config{Root: root})
	s.add("/f", guests.Go(t, "gofiles"), servicetest.WithMounts(map[string]string{"/content": "content"}))
	s.get("/f/content/a.txt?many")
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("cannot count open files here: ", err)
		}
		return len(entries)
	}
	before := count()
	for range 5 {
		s.get("/f/content/a.txt?many")
	}
	require.InDelta(t, before, count(), 10)
}

func TestLargeDirectoriesAreReadWhole(t *testing.T) {
	root, dir := newRoot(t)
	for i := range 3000 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "content2", fmt.Sprintf("file-with-a-long-name-%04d", i)), nil, 0o644))
	}
	s := newServer(t, wasm.Config{Root: root})
	s.add("/f", guests.Go(t, "gofiles"), servicetest.WithMounts(map[string]string{"/d": "content2"}))
	require.Len(t, strings.Split(s.get("/f/d").Body, "\n"), 3001)
}

func TestMountsThatCannotBe(t *testing.T) {
	root, dir := newRoot(t)
	require.NoError(t, os.Symlink("/etc", filepath.Join(dir, "etc")))
	s := newServer(t, wasm.Config{Root: root})
	for guest, below := range map[string]string{
		"relative": "content", "/a/../b": "content", "/up": "../x", "/abs": "/etc", "/none": "none", "/file": "secret.txt", "/link": "etc",
	} {
		err := s.refused("/f", guests.Wat(t, "hello"), servicetest.WithMounts(map[string]string{guest: below}))
		p := problem.From(err)
		require.Equal(t, problem.ModuleInvalid, p.Kind())
		require.NotContains(t, p.Detail+strings.Join(problem.Texts(p.Violations), ""), dir, "what the client reads")
	}
	without := newServer(t, wasm.Config{})
	mounted := servicetest.WithMounts(map[string]string{"/a": "content"})
	require.ErrorContains(t, without.refused("/f", guests.Wat(t, "hello"), mounted), "--root")
	_, err := without.kind.Prepare(context.Background(), module("/f", guests.Wat(t, "hello"), mounted))
	require.ErrorContains(t, err, "--root", "also when it was added to a server that had one")
}

// TestMountsOfWASI3 reads a mount by wasi:filesystem@0.3. A field "number" is an error-code above 100, or 0, or a value.
func TestMountsOfWASI3(t *testing.T) {
	root, dir := newRoot(t)
	large := strings.Repeat("0123456789abcdef", 1<<14)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "content/large"), []byte("x"+large), 0o644))
	s := newServer(t, wasm.Config{Root: root})
	s.add("/", wasi3Guest(t, "files"), servicetest.WithMounts(map[string]string{"/content": "content"}))
	for _, c := range []struct {
		path    string
		numbers []string
		names   []string
		body    string
	}{
		{path: "r/a.txt", numbers: []string{"0", "10"}, body: "irst file"},
		{path: "o/in", numbers: []string{"0", "11"}, body: "econd file"}, // opened synchronously
		{path: "r/large", numbers: []string{"0", "262145"}, body: large},
		{path: "r/none", numbers: []string{"119"}},
		{path: "o/out", numbers: []string{"130"}},
		{path: "r/passwd", numbers: []string{"130"}},
		{path: "r/a.txt/b", numbers: []string{"130"}},
		{path: "l/", numbers: []string{"0", "5", "4", "5", "4", "4", "2", "0"}, names: []string{"a.txt", "in", "large", "out", "passwd", "sub"}},
		{path: "l/a.txt", numbers: []string{"0", "123"}},
		{path: "w/a.txt", numbers: []string{"0", "132", "132", "132"}},
		{path: "e/sub", numbers: []string{"0", "113"}},
		{path: "t/in", numbers: []string{"0", "1", "5"}},
		{path: "t/sub", numbers: []string{"0", "1", "2"}},
		{path: "m/a.txt", numbers: []string{"0", "121"}},
	} {
		a := s.get("/" + c.path)
		require.Equal(t, 200, a.StatusCode, "%s: %s", c.path, a.Body)
		require.Equal(t, c.numbers, a.Header.Values("Number"), c.path)
		require.Equal(t, c.names, a.Header.Values("Name"), c.path)
		require.Equal(t, c.body, a.Body, c.path)
	}
	text, err := os.ReadFile(filepath.Join(dir, "content/a.txt"))
	require.NoError(t, err)
	require.Equal(t, "first file", string(text))
}
