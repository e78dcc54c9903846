package project

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestScan(t *testing.T) {
	dir := directory(t, map[string]string{"main.go": "package main", "static/page.html": "<p>"})
	write := func(name, content string) func() error {
		return func() error {
			file := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return err
			}
			return os.WriteFile(file, []byte(content), 0o644)
		}
	}
	for _, c := range []struct {
		what   string
		change func() error
		seen   bool
	}{
		{"nothing", func() error { return nil }, false},
		{"content of another size", write("main.go", "package main // more"), true},
		{"time of modification", func() error {
			return os.Chtimes(filepath.Join(dir, "main.go"), time.Time{}, time.Unix(1, 1))
		}, true},
		{"file below", write("static/page.html", "<p>more"), true},
		{"new file", write("static/style.css", ""), true},
		{"renamed file", func() error {
			return os.Rename(filepath.Join(dir, "static/style.css"), filepath.Join(dir, "static/other.css"))
		}, true},
		{"removed file", func() error { return os.Remove(filepath.Join(dir, "static/other.css")) }, true},
		{"hidden file", write(".main.go.swp", "x"), false},
		{"hidden directory", write(".git/index", "x"), false},
		{"backup", write("main.go~", "x"), false},
		{"module", write("hello.wasm", "x"), false},
		{"packages", write("node_modules/a/index.js", "x"), false},
		{"objects", write("target/release/a.d", "x"), false},
		{"file of such a name", write("src/target", "x"), true},
		{"link to nowhere", func() error { return os.Symlink("nowhere", filepath.Join(dir, "link")) }, true},
		{"empty directory", func() error { return os.Mkdir(filepath.Join(dir, "empty"), 0o755) }, false},
	} {
		before, err := scan(dir, maxFiles, nil)
		require.NoError(t, err)
		require.NoError(t, c.change())
		after, err := scan(dir, maxFiles, nil)
		require.NoError(t, err)
		require.Equal(t, c.seen, before != after, c.what)
	}
}

func TestWait(t *testing.T) {
	dir := directory(t, map[string]string{"main.go": ""})
	synctest.Test(t, func(t *testing.T) {
		w, err := Watch(dir)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())

		changed := make(chan error)
		go func() { changed <- w.Wait(ctx) }()
		time.Sleep(10*scanInterval + 1)
		synctest.Wait()
		select {
		case err := <-changed:
			t.Fatal("nothing has changed", err)
		default:
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("x"), 0o644))
		require.NoError(t, <-changed)

		// A change between two calls is not lost.
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("xx"), 0o644))
		require.NoError(t, w.Wait(ctx))

		go func() { changed <- w.Wait(ctx) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-changed, context.Canceled)

		require.NoError(t, os.RemoveAll(dir))
		require.ErrorIs(t, w.Wait(context.Background()), fs.ErrNotExist)
	})
}

// Events of the system make Wait look at once, in new directories too. Here nothing else does.
func TestNotify(t *testing.T) {
	dir := directory(t, map[string]string{"main.go": "", "a/b.go": ""})
	w, err := Watch(dir)
	require.NoError(t, err)
	w.every = 24 * time.Hour
	w.Notify()
	if w.system == nil {
		t.Skip("the system has no events")
	}
	defer func() { require.NoError(t, w.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	changed := make(chan error, 1)
	for _, name := range []string{"main.go", "a/b.go", "new/c.go", "new/c.go"} {
		file := filepath.Join(dir, name)
		go func() { changed <- w.Wait(ctx) }()
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		old, err := os.ReadFile(file)
		if err != nil {
			require.ErrorIs(t, err, fs.ErrNotExist)
		}
		require.NoError(t, os.WriteFile(file, append(old, 'x'), 0o644))
		require.NoError(t, <-changed, name)
	}
	go func() { changed <- w.Wait(ctx) }()
	require.NoError(t, os.Mkdir(filepath.Join(dir, ".git"), 0o755)) // no source: the state is the same
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".swp"), nil, 0o644))
	require.NoError(t, w.Close()) // polling goes on
	cancel()
	err = <-changed
	for err == nil { // the last file was seen while it was written
		err = w.Wait(ctx)
	}
	require.ErrorIs(t, err, context.Canceled)
}

func TestScanIsBounded(t *testing.T) {
	dir := directory(t, map[string]string{"a": "", "b/c": "", ".git/d": ""})
	_, err := scan(dir, 3, nil)
	require.NoError(t, err)
	_, err = scan(dir, 2, nil)
	require.ErrorContains(t, err, "more than 2 files")
}

// TestOwnFilesAreNoSources checks that the log of "vespo dev" in the directory of the project is no change of it.
func TestOwnFilesAreNoSources(t *testing.T) {
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "dev.log"))
	require.NoError(t, err)
	defer log.Close()
	own := regularFiles(log, io.Discard)
	require.Len(t, own, 1)
	before, err := scan(dir, maxFiles, own)
	require.NoError(t, err)
	_, err = log.WriteString("GET / 200")
	require.NoError(t, err)
	after, err := scan(dir, maxFiles, own)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), nil, 0o600))
	after, err = scan(dir, maxFiles, own)
	require.NoError(t, err)
	require.NotEqual(t, before, after)
}
