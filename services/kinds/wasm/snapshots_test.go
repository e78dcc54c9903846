package wasm_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/kv/boltstore"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// keepsSnapshots returns a configuration with snapshots on disk, of a program like no other one.
func keepsSnapshots(tb testing.TB, cfg wasm.Config) wasm.Config {
	cfg.Snapshots, cfg.Build = true, tb.Name()+time.Now().String()
	return cfg
}

// evict has the code of a service released, as soon as nothing uses it.
func evict(tb testing.TB, d services.Deployment) {
	require.Eventually(tb, func() bool {
		require.NoError(tb, d.Scale(tb.Context(), services.EvictCode))
		return d.Status().State == services.StateEvicted
	}, time.Minute, time.Millisecond)
}

// A service starts from its snapshot on disk after an eviction and after a restart of the server.
func TestSnapshotOnDiskOutlivesEvictionAndRestart(t *testing.T) {
	cfg := keepsSnapshots(t, wasm.Config{CacheDir: t.TempDir()})
	setting := servicetest.WithConfig(map[string]string{"password": "one"})
	for round := range 2 {
		t.Run("", func(t *testing.T) {
			s := newServer(t, cfg)
			d := s.add("/x", guests.Wat(t, "config"), setting)
			require.EqualValues(t, round, s.kind.Stats().Recalled)
			for n := range 3 {
				before := s.get("/x").Body
				evict(t, d)
				require.Equal(t, before, s.get("/x").Body)
				require.EqualValues(t, round+n+1, s.kind.Stats().Recalled)
			}
		})
	}
}

// A snapshot on disk is removed with the last version that uses it: it can have secrets.
func TestSnapshotOnDiskLeavesWithItsVersion(t *testing.T) {
	s := newServer(t, keepsSnapshots(t, wasm.Config{CacheDir: t.TempDir()}))
	kept := func() int { return s.kind.Stats().Code.Snapshots }
	setting := func(value string) servicetest.Option {
		return servicetest.WithConfig(map[string]string{"password": value})
	}
	echo := guests.Wat(t, "echo")
	s.add("/x", echo, setting("one"))
	require.Equal(t, 1, kept())
	s.add("/y", echo, setting("one"))
	require.Equal(t, 1, kept(), "of the same module with the same settings")
	require.EqualValues(t, 1, s.kind.Stats().Recalled)
	s.add("/x", echo, setting("two"))
	require.Equal(t, 2, kept())
	require.EqualValues(t, 1, s.kind.Stats().Recalled, "taken anew, as the settings have changed")
	s.Withdraw("/y")
	require.Equal(t, 1, kept())
	s.Withdraw("/x")
	require.Zero(t, kept())
	s.add("/m", guests.Wat(t, "hello"), servicetest.WithMiddleware(nil, echo))
	require.Equal(t, 2, kept())
	s.Withdraw("/m")
	require.Zero(t, kept())
}

// What files of mounts were at the start is not known later.
func TestSnapshotsOfMountsAreNotKeptOnDisk(t *testing.T) {
	root, _ := newRoot(t)
	s := newServer(t, keepsSnapshots(t, wasm.Config{CacheDir: t.TempDir(), Root: root}))
	s.add("/x", guests.Wat(t, "echo"), servicetest.WithMounts(map[string]string{"/content": "content"}))
	require.Zero(t, s.kind.Stats().Code.Snapshots)
}

// Requests that warm a service up are a part of what its snapshot depends on, with its prefix. What they read from stores is not known later.
func TestWarmSnapshotsOnDisk(t *testing.T) {
	stores, err := boltstore.Open(boltstore.Config{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stores.Close()) })
	s := newServer(t, keepsSnapshots(t, wasm.Config{CacheDir: t.TempDir(), KeyValue: stores}))
	counts := func() (kept, recalled int) {
		stats := s.kind.Stats()
		return stats.Code.Snapshots, int(stats.Recalled)
	}
	echo, warm := guests.Wat(t, "echo"), servicetest.WithWarm("GET /one")
	for i, spec := range []services.Spec{
		module("/x", echo),
		module("/y", echo, warm),
		module("/z", echo, warm),
		module("/z2", echo, servicetest.WithWarm("GET /two")),
	} {
		s.Deploy(spec)
		kept, recalled := counts()
		require.Equal(t, i+1, kept, spec.Key)
		require.Zero(t, recalled, spec.Key)
	}
	evict(t, s.Deployment("/y"))
	require.Equal(t, 200, s.get("/y").StatusCode)
	_, recalled := counts()
	require.Equal(t, 1, recalled)
	s.add("/kv", echo, warm, servicetest.WithKV("notes"))
	kept, _ := counts()
	require.Equal(t, 4, kept)
	s.add("/kv", echo, servicetest.WithKV("notes"))
	kept, _ = counts()
	require.Equal(t, 5, kept)
}

// A restarted server loads nothing and runs no guest until the first request, and knows all about its services.
func TestServedVersionsAreLoadedForTheirFirstRequest(t *testing.T) {
	cfg := keepsSnapshots(t, wasm.Config{CacheDir: t.TempDir()})
	secret, fresh := guests.Wat(t, "token"), guests.Wat(t, "secrettable")
	specs := []services.Spec{
		module("/plain", guests.Wat(t, "config"), servicetest.WithConfig(map[string]string{"greeting": "hi"})),
		module("/repeats", secret, servicetest.WithIsolation(wasm.IsolationSnapshot)),
		module("/fresh", fresh),
		module("/behind", guests.Wat(t, "hello"), servicetest.WithMiddleware(nil, guests.Wat(t, "echo"))),
	}
	var first []services.Status
	for round := range 2 {
		t.Run("", func(t *testing.T) {
			s := newServer(t, cfg)
			for i, spec := range specs {
				spec.Served = round == 1
				s.Deploy(spec)
				status := s.Status(spec.Key.String())
				if round == 0 {
					first = append(first, status)
					continue
				}
				before := first[i]
				if spec.Key.String() != "/fresh" {
					require.Equal(t, services.StateEvicted, status.State, spec.Key)
				}
				before.State, before.Warm, before.SnapshotBytes = status.State, status.Warm, status.SnapshotBytes
				require.Equal(t, before, status, spec.Key)
			}
			if round == 0 {
				return
			}
			require.Zero(t, s.kind.Stats().Recalled, "nothing was loaded")
			require.Equal(t, 200, s.get("/plain").StatusCode)
			require.EqualValues(t, "cold", s.Records.Nth(1).Start)
			require.Equal(t, 200, s.get("/repeats").StatusCode)
			require.Equal(t, 200, s.get("/fresh").StatusCode)
			require.EqualValues(t, 2, s.kind.Stats().Recalled)
			require.Equal(t, services.StateReady, s.Status("/plain").State)
		})
	}
}

// A restarted server does not read the modules that it has read before, unless a snapshot is missing or its head is damaged. The
// rest of a snapshot is read for the first request.
func TestServedModulesAreNotRead(t *testing.T) {
	cfg := keepsSnapshots(t, wasm.Config{CacheDir: t.TempDir()})
	modules := [][]byte{guests.Wat(t, "config"), guests.Wat(t, "p2echo")}
	var before []services.Status
	t.Run("first", func(t *testing.T) {
		s := newServer(t, cfg)
		for i, bin := range modules {
			before = append(before, s.add([]string{"/0", "/1"}[i], bin).Status())
		}
	})
	change := func(how func(path string) error) {
		paths, err := filepath.Glob(filepath.Join(cfg.CacheDir, "snapshots", "*"))
		require.NoError(t, err)
		require.Len(t, paths, len(modules))
		for _, path := range paths {
			require.NoError(t, how(path))
		}
	}
	prepare := func(t *testing.T, reads bool) {
		s := newServer(t, cfg)
		for i, bin := range modules {
			spec := module([]string{"/0", "/1"}[i], bin)
			spec.Served = true
			spec.Blobs[0].Digest, spec.Blobs[0].Content = registry.DigestOf(bin), nil
			d, err := s.kind.Prepare(t.Context(), spec)
			if reads {
				require.ErrorIs(t, err, registry.ErrBlobMissing)
				continue
			}
			require.NoError(t, err)
			want := before[i]
			want.State, want.Warm, want.SnapshotBytes = services.StateEvicted, 0, 0
			require.Equal(t, want, d.Status())
			require.NoError(t, d.Close(t.Context()))
		}
	}
	t.Run("restarted", func(t *testing.T) { prepare(t, false) })
	change(func(path string) error { return os.Truncate(path, 1000) })
	t.Run("with damaged snapshots", func(t *testing.T) { prepare(t, false) })
	change(func(path string) error { return os.Truncate(path, 100) })
	t.Run("with damaged heads", func(t *testing.T) { prepare(t, true) })
	change(os.Remove)
	t.Run("without snapshots", func(t *testing.T) { prepare(t, true) })
}
