package configfile

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// hang is the timeout for expected events.
const hang = 30 * time.Second

func TestTrail(t *testing.T) {
	dir, err := filepath.EvalSymlinks(written(t, map[string]string{"..2024/vespo.toml": "", "plain/a.wasm": ""}))
	require.NoError(t, err)
	require.NoError(t, os.Symlink("..2024", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/vespo.toml", filepath.Join(dir, "vespo.toml")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "plain"), filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink("loop", filepath.Join(dir, "loop")))
	at := func(names ...string) (places []string) {
		for _, name := range names {
			places = append(places, filepath.Join(dir, name))
		}
		return places
	}
	for path, want := range map[string][]string{
		"vespo.toml":         at("", "vespo.toml", "..data", "..2024", "..2024/vespo.toml"),
		"plain/a.wasm":       at("plain", "plain/a.wasm"),
		"link/a.wasm":        at("link", "plain", "plain/a.wasm"),
		"link/../..data/x":   at("..data", "..2024", "..2024/x"), // the path is cleaned before links are followed
		"none/deeper/a.wasm": at("none"),
	} {
		require.Equal(t, want, trail(filepath.Join(dir, path)), path)
	}
	require.Len(t, trail(filepath.Join(dir, "loop")), maxLinks+2)
	require.Empty(t, trail("/"), "the root is in no directory")
}

// following returns a watcher of paths.
func following(t *testing.T, paths ...string) *Watcher {
	t.Helper()
	w := NewWatcher(func(err error) { t.Error(err) })
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	require.True(t, w.Follow(paths))
	require.False(t, w.Follow(paths))
	return w
}

func requireNoticed(t *testing.T, w *Watcher, why string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	require.NoError(t, w.Wait(ctx), why)
}

// Every way to change a file is noticed, one after the other.
func TestChangesAreNoticed(t *testing.T) {
	dir := written(t, map[string]string{"vespo.toml": "1", "next": "2", "modules/a.wasm": "1", "other": ""})
	path, module := filepath.Join(dir, "vespo.toml"), filepath.Join(dir, "modules", "a.wasm")
	w := following(t, path, module)
	for _, step := range []struct {
		why string
		do  func() error
	}{
		{"written", func() error { return os.WriteFile(path, []byte("3"), 0o644) }},
		{"replaced by another", func() error { return os.Rename(filepath.Join(dir, "next"), path) }},
		{"removed", func() error { return os.Remove(path) }},
		{"back", func() error { return os.WriteFile(path, []byte("4"), 0o644) }},
		{"module written", func() error { return os.WriteFile(module, []byte("2"), 0o644) }},
		{"its directory renamed", func() error { return os.Rename(filepath.Dir(module), filepath.Join(dir, "old")) }},
		{"another directory", func() error { return os.Mkdir(filepath.Dir(module), 0o755) }},
		{"with a module", func() error { return os.WriteFile(module, []byte("3"), 0o644) }},
		{"and written again", func() error { return os.WriteFile(module, []byte("4"), 0o644) }},
	} {
		require.NoError(t, step.do(), step.why)
		requireNoticed(t, w, step.why)
		w.Follow([]string{path, module})
	}
}

// Kubernetes writes the files of a ConfigMap into a new directory and replaces a link.
func TestConfigMapIsNoticed(t *testing.T) {
	dir := written(t, map[string]string{"..1/vespo.toml": "1"})
	require.NoError(t, os.Symlink("..1", filepath.Join(dir, "..data")))
	path := filepath.Join(dir, "vespo.toml")
	require.NoError(t, os.Symlink("..data/vespo.toml", path))
	w := following(t, path)
	for _, version := range []string{"..2", "..3"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, version, "vespo.toml"), []byte(version), 0o644))
		require.NoError(t, os.Symlink(version, filepath.Join(dir, "..data_tmp")))
		require.NoError(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		requireNoticed(t, w, version)
		require.True(t, w.Follow([]string{path}))
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, version, string(text))
	}
}

func TestOthersAreNot(t *testing.T) {
	dir := written(t, map[string]string{"vespo.toml": "1"})
	w := following(t, filepath.Join(dir, "vespo.toml"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "access.log"), []byte("x"), 0o644))
	ctx, cancel := context.WithTimeout(t.Context(), 2*quietTime)
	defer cancel()
	require.ErrorIs(t, w.Wait(ctx), context.DeadlineExceeded)
}

func TestSettle(t *testing.T) {
	dir := written(t, map[string]string{"vespo.toml": "1"})
	w := following(t, filepath.Join(dir, "vespo.toml"))
	require.NoError(t, w.Settle(t.Context(), time.Millisecond), "nothing happens")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.Settle(ctx, time.Hour), context.Canceled)
}

// A watcher that loses the system's watcher continues by polling.
func TestWatcherThatDies(t *testing.T) {
	dir := written(t, map[string]string{"vespo.toml": "1"})
	path := filepath.Join(dir, "vespo.toml")
	var told []error
	w := NewWatcher(func(err error) { told = append(told, err) })
	w.Follow([]string{path})
	require.NoError(t, w.system.Close())
	requireNoticed(t, w, "changes may have been lost")
	require.Len(t, told, 1)
	require.ErrorIs(t, told[0], ErrWatch)
	require.False(t, w.Follow([]string{path}))
	require.NoError(t, os.WriteFile(path, []byte("a change"), 0o644))
	requireNoticed(t, w, "written")
	require.Len(t, told, 1)
	require.NoError(t, w.Close())
}

// Without the system's watcher, polling finds each kind of change and reports nothing else.
func TestPolling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := written(t, map[string]string{"vespo.toml": "1", "next": "22", "modules/a.wasm": "1", "other": ""})
		path, module := filepath.Join(dir, "vespo.toml"), filepath.Join(dir, "modules", "a.wasm")
		w := &Watcher{polling: true, places: map[string]bool{}, dirs: map[string]bool{}}
		require.True(t, w.Follow([]string{path, module}))
		require.False(t, w.Follow([]string{path, module}))
		for _, step := range []struct {
			why string
			do  func() error
		}{
			{"written", func() error { return os.WriteFile(path, []byte("333"), 0o644) }},
			{"replaced by another", func() error { return os.Rename(filepath.Join(dir, "next"), path) }},
			{"removed", func() error { return os.Remove(path) }},
			{"replaced by a link", func() error { return os.Symlink("modules/a.wasm", path) }},
			{"its directory renamed", func() error { return os.Rename(filepath.Dir(module), filepath.Join(dir, "old")) }},
		} {
			require.NoError(t, step.do(), step.why)
			requireNoticed(t, w, step.why)
			w.Follow([]string{path, module})
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), []byte("x"), 0o644))
		ctx, cancel := context.WithTimeout(t.Context(), 10*PollInterval)
		defer cancel()
		require.ErrorIs(t, w.Wait(ctx), context.DeadlineExceeded)
	})
}
