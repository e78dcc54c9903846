package wasm_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// cacheFiles returns the files below a directory of the cache.
func cacheFiles(tb testing.TB, dir string) (files []string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	require.NoError(tb, err)
	return files
}

// changed replaces the content of all files below a directory. The old files stay as they are, because they can be mapped.
func changed(change func(content []byte) []byte, names ...string) func(tb testing.TB, dir string) {
	return func(tb testing.TB, dir string) {
		for _, name := range names {
			for _, path := range cacheFiles(tb, filepath.Join(dir, name)) {
				content, err := os.ReadFile(path)
				require.NoError(tb, err)
				require.NoError(tb, os.Remove(path))
				require.NoError(tb, os.WriteFile(path, change(slices.Clone(content)), 0o600))
			}
		}
	}
}

func removed(names ...string) func(tb testing.TB, dir string) {
	return func(tb testing.TB, dir string) {
		for _, name := range names {
			require.NoError(tb, os.RemoveAll(filepath.Join(dir, name)))
		}
	}
}

// Evicted services whose files are missing, torn or of another version are compiled again, once for all requests that wait, and
// the files are made anew.
func TestEvictedServicesOutliveTheirFiles(t *testing.T) {
	emptied := func([]byte) []byte { return nil }
	torn := func(content []byte) []byte { return content[:len(content)/2] }
	flipped := func(content []byte) []byte { content[len(content)/3] ^= 1; return content }
	other := func([]byte) []byte { return []byte(strings.Repeat("another version", 1000)) }
	long := guests.Long(t, "hello", 500, 100) // large enough to be mapped
	for _, c := range []struct {
		name     string
		compiles int64 // at most; of each service
		lose     func(tb testing.TB, dir string)
	}{
		{"nothing", 0, removed()},
		{"cache removed", 1, removed(".")},
		{"code removed", 1, removed("code")},
		{"snapshots removed", 0, removed("snapshots")},
		{"descriptions removed", 1, removed("about")},
		{"work removed", 0, removed("work")},
		{"all but code removed", 1, removed("about", "snapshots", "uses", "work")},
		{"code emptied", 1, changed(emptied, "code")},
		{"code torn", 1, changed(torn, "code")},
		{"code flipped", 1, changed(flipped, "code")},
		{"code of another version", 1, changed(other, "code")},
		{"all torn", 1, changed(torn, "code", "about", "snapshots")},
		{"all of another version", 1, changed(other, "code", "about", "snapshots")},
		{"snapshots torn", 0, changed(torn, "snapshots")},
		{"snapshots flipped", 0, changed(flipped, "snapshots")},
		{"descriptions flipped", 1, changed(flipped, "about")},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			s := newServer(t, keepsSnapshots(t, wasm.Config{CacheDir: dir}))
			deployed := map[string]services.Deployment{"/wat": s.add("/wat", guests.Wat(t, "echo"))}
			if strings.HasPrefix(c.name, "code") {
				deployed["/long"] = s.add("/long", long, servicetest.WithTimeout(time.Minute)) // the race detector compiles slowly
				require.Equal(t, runtime.GOOS == "linux", s.kind.Stats().MappedBytes > 0)
			}
			files := len(cacheFiles(t, dir))
			for range 2 {
				for _, d := range deployed {
					evict(t, d)
				}
				c.lose(t, dir)
				before := s.kind.Stats().Compiler.Compiled
				var clients sync.WaitGroup
				for range 8 {
					for path := range deployed {
						clients.Go(func() {
							if a := s.get(path); a.StatusCode != 200 {
								t.Errorf("%s: %d %s", path, a.StatusCode, a.Body)
							}
						})
					}
				}
				clients.Wait()
				require.LessOrEqual(t, s.kind.Stats().Compiler.Compiled-before, c.compiles*int64(len(deployed)))
			}
			for _, d := range deployed {
				evict(t, d)
			}
			before := s.kind.Stats()
			for path := range deployed {
				require.Equal(t, 200, s.get(path).StatusCode)
			}
			after := s.kind.Stats()
			require.Equal(t, before.Compiler.Compiled, after.Compiler.Compiled, "the files are there again")
			require.Equal(t, before.Recalled+int64(len(deployed)), after.Recalled)
			require.Len(t, cacheFiles(t, dir), files)
		})
	}
}

// No request fails while the cache is removed again and again under services that are evicted all the time.
func TestTheCacheCanBeRemovedUnderLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	s := newServer(t, keepsSnapshots(t, wasm.Config{CacheDir: dir}))
	var all []services.Deployment
	var paths []string
	var clients sync.WaitGroup
	var stop atomic.Bool
	for _, guest := range []string{"hello", "config", "echo"} {
		path := "/" + guest
		all, paths = append(all, s.add(path, guests.Wat(t, guest))), append(paths, path)
		for range 3 {
			clients.Go(func() {
				for !stop.Load() {
					if a := s.get(path); a.StatusCode != 200 {
						t.Errorf("%s: %d %s", path, a.StatusCode, a.Body)
						return
					}
				}
			})
		}
	}
	for i := range 60 {
		for _, d := range all {
			require.NoError(t, d.Scale(t.Context(), services.EvictCode))
		}
		parts := []string{".", "code", "work", "snapshots"}
		_ = os.RemoveAll(filepath.Join(dir, parts[i%len(parts)])) // fails if files are added meanwhile
		for _, path := range paths {
			require.Equal(t, 200, s.get(path).StatusCode)
		}
	}
	stop.Store(true)
	clients.Wait()
	if t.Failed() {
		t.Log(s.Records.First(func(r accesslog.Record) bool { return r.Err != nil }).Err)
	}
	require.NotContains(t, s.Log.String(), "without bounds")
}

// A module that is gone, too, fails the requests of its service alone. Inspect says why, and a deploy repairs it.
func TestAnEvictedServiceWithoutItsModule(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	s := newServer(t, wasm.Config{CacheDir: dir})
	state := guests.Wat(t, "echo")
	d := s.add("/x", state)
	evict(t, d)
	require.NoError(t, os.RemoveAll(dir))
	digests, err := s.Blobs.List(t.Context())
	require.NoError(t, err)
	for _, digest := range digests {
		require.NoError(t, s.Blobs.Delete(t.Context(), digest))
	}
	a := s.get("/x")
	require.Equal(t, 500, a.StatusCode)
	require.NotContains(t, string(a.Body), "blob")
	require.Contains(t, strings.Join(d.Status().Warnings, "\n"), "blob is missing")
	d = s.add("/x", state)
	require.Equal(t, 200, s.get("/x").StatusCode)
	require.Empty(t, d.Status().Warnings)
}
