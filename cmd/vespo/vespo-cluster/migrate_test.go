package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdstore"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
)

// directory is a data directory that no server uses.
func directory(t *testing.T) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// opened returns a store of etcd that is not loaded.
func opened(t *testing.T, url string) cluster.Store {
	t.Helper()
	s, err := etcdstore.OpenURL(t.Context(), cluster.Options{URL: url, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// filled commits a random catalogue with its blobs to a directory, and closes it for a migration.
func filled(t *testing.T, dir *filestore.Store, random *rand.Rand) *registry.State {
	t.Helper()
	loaded, err := dir.Load(t.Context())
	require.NoError(t, err)
	state := loaded.State
	for range 1 + random.IntN(60) {
		state = changed(t, dir, state, random)
	}
	require.NoError(t, dir.Commit(t.Context(), loaded.State, state))
	return state
}

// changed makes a random change.
func changed(t *testing.T, dir *filestore.Store, state *registry.State, random *rand.Rand) *registry.State {
	key := routekey.MustParse(fmt.Sprintf("/s%d", random.IntN(8)))
	switch random.IntN(8) {
	case 0:
		if next, err := state.Remove(key); err == nil {
			return next
		}
		return state
	case 1:
		return state.PutRecord(fmt.Sprintf("test/%d", random.IntN(3)), registry.Record{Kind: "test", Manifest: registry.Manifest(fmt.Sprintf(`{"n":%d}`, random.IntN(3)))})
	case 2: // divide the requests
		service, ok := state.Services[key]
		if !ok || len(service.History) == 0 {
			return state
		}
		next, put := state.Put(key, service.Current)
		arms := []registry.Arm{{Number: put.Current.Number, Weight: registry.Whole / 4}, {Number: put.History[0].Number, Weight: registry.Whole - registry.Whole/4}}
		divided, err := put.WithSplit(registry.Split{Arms: arms}, next.Generation, time.Unix(1e9, 5))
		require.NoError(t, err)
		next.Services[key] = divided
		return next
	}
	blob := fmt.Appendf(nil, "module %d %s", random.IntN(20), strings.Repeat("x", random.IntN(1000)))
	d := registry.DigestOf(blob)
	require.NoError(t, dir.Blobs().Put(t.Context(), d, blob))
	next, _ := state.Put(key, registry.Version{
		Kind:     "test",
		Manifest: registry.Manifest(fmt.Sprintf(`{"config":{"secret":"%d"},"text":%q}`, random.Uint64(), strings.Repeat("é<", random.IntN(3000)))),
		Blobs:    []registry.Blob{{Field: "module", Digest: d, SizeBytes: int64(len(blob))}},
		Origin:   []registry.Origin{registry.OriginAPI, registry.OriginFile}[random.IntN(2)],
		Note:     registry.Note{Message: "a change", Author: "test"},
		Deployed: time.Unix(random.Int64N(1e9), random.Int64N(1e9)),
	})
	return next
}

func requireSame(t *testing.T, want, got *registry.State) {
	t.Helper()
	require.Equal(t, want.Generation, got.Generation)
	a, err := filestore.Encode(want)
	require.NoError(t, err)
	b, err := filestore.Encode(got)
	require.NoError(t, err)
	require.Equal(t, string(a), string(b))
}

// announced serves the blobs of a directory to other hosts of a store, until the test ends.
func announced(t *testing.T, url string, dir *filestore.Store) {
	t.Helper()
	node, err := cluster.NewNode(cluster.NodeConfig{Store: opened(t, url), Version: "test", Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	node.Blobs(dir.Blobs())
	server := httptest.NewUnstartedServer(node.Handler())
	server.TLS = node.TLS()
	server.StartTLS()
	node.SetAddress(server.Listener.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); node.Announce(ctx) }()
	t.Cleanup(func() { cancel(); <-done; server.Close(); node.Close() })
	require.True(t, within(patience, func() bool {
		view, err := node.View(t.Context())
		return err == nil && len(view.Members) == 1
	}))
}

// TestMigrationsKeepTheCatalogue moves random catalogues to etcd and from there to another directory, which has the same
// catalogue and all blobs.
func TestMigrationsKeepTheCatalogue(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range 10 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			url := server.URL(fmt.Sprintf("migration-%d", round))
			first := t.TempDir()
			dir, err := filestore.Open(first)
			require.NoError(t, err)
			want := filled(t, dir, random)
			require.NoError(t, dir.Close())
			if dir, err = filestore.Open(first); err == nil {
				defer dir.Close()
			}
			require.NoError(t, err)
			m := &cluster.Migration{Store: opened(t, url), Dir: dir, Blobs: dir.Blobs()}
			moved, err := m.ToStore(t.Context())
			require.NoError(t, err)
			require.False(t, moved.Already)
			store := opened(t, url)
			there, err := store.Load(t.Context())
			require.NoError(t, err)
			require.Empty(t, there.Problems)
			requireSame(t, want, there.State)
			announced(t, url, dir)

			second := directory(t)
			m = &cluster.Migration{Store: opened(t, url), Dir: second, Blobs: second.Blobs()}
			node, err := cluster.NewNode(cluster.NodeConfig{Store: m.Store, MaxBlobBytes: 1 << 20, Log: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			defer node.Close()
			_, err = m.ToDirectory(t.Context(), node)
			require.NoError(t, err)
			for state := range second.Watch(t.Context()) {
				requireSame(t, want, state)
				break
			}
			for d := range want.Digests() {
				_, err := second.Blobs().Get(t.Context(), d)
				require.NoError(t, err)
			}
		})
	}
}

// failing is a directory whose next commit fails.
type failing struct {
	registry.Store
	err error
}

func (f *failing) Commit(ctx context.Context, base, next *registry.State) error {
	if err := f.err; err != nil {
		f.err = nil
		return err
	}
	return f.Store.Commit(ctx, base, next)
}

// TestMigrationGoesOn interrupts a migration after the store has the catalogue, and makes it again.
func TestMigrationGoesOn(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	url := server.URL("again")
	path := t.TempDir()
	dir, err := filestore.Open(path)
	require.NoError(t, err)
	filled(t, dir, rand.New(rand.NewPCG(1, 1)))
	for i, want := range []string{"no space", "", ""} {
		require.NoError(t, dir.Close())
		dir, err = filestore.Open(path)
		require.NoError(t, err)
		m := &cluster.Migration{Store: opened(t, url), Dir: dir, Blobs: dir.Blobs()}
		if want != "" {
			m.Dir = &failing{dir, errors.New(want)}
		}
		moved, err := m.ToStore(t.Context())
		require.True(t, m.Began || moved.Already)
		if want != "" {
			require.ErrorContains(t, err, "give the command again")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, i == 2, moved.Already)
	}
	require.NoError(t, dir.Close())
}

// TestMigrationRefuses moves nothing if anything is wrong.
func TestMigrationRefuses(t *testing.T) {
	server := etcdtest.Start(t)
	random := rand.New(rand.NewPCG(2, 2))
	version := func(manifest string) registry.Version {
		return registry.Version{Kind: "test", Manifest: registry.Manifest(manifest), Deployed: time.Now()}
	}
	key := routekey.MustParse("/a")
	text := make([]byte, 1800<<10)
	for i := range text {
		text[i] = byte('0' + random.IntN(75))
	}
	for name, test := range map[string]struct {
		versions []registry.Version
		says     string
	}{
		"Nothing":  {nil, "there is nothing to move"},
		"Blob":     {[]registry.Version{{Kind: "test", Blobs: []registry.Blob{{Field: "module", Digest: registry.DigestOf([]byte("gone")), SizeBytes: 4}}}}, "blob is missing"},
		"TooLarge": {[]registry.Version{version(fmt.Sprintf(`{"text":%q}`, text[:len(text)/2])), version(fmt.Sprintf(`{"text":%q}`, text[len(text)/2:]))}, `"/a" takes`},
		"Target":   {[]registry.Version{version("{}")}, "the target is not empty"},
	} {
		t.Run(name, func(t *testing.T) {
			url := server.URL("refuses-" + name)
			if name == "Target" {
				s := opened(t, url)
				loaded, err := s.Load(t.Context())
				require.NoError(t, err)
				next, _ := loaded.State.Put(routekey.MustParse("/b"), version("{}"))
				require.NoError(t, s.Commit(t.Context(), loaded.State, next))
			}
			path := t.TempDir()
			dir, err := filestore.Open(path)
			require.NoError(t, err)
			loaded, err := dir.Load(t.Context())
			require.NoError(t, err)
			state := loaded.State
			for _, v := range test.versions {
				state, _ = state.Put(key, v)
			}
			if state != loaded.State {
				require.NoError(t, dir.Commit(t.Context(), loaded.State, state))
			}
			require.NoError(t, dir.Close())
			dir, err = filestore.Open(path)
			require.NoError(t, err)
			defer dir.Close()
			m := &cluster.Migration{Store: opened(t, url), Dir: dir, Blobs: dir.Blobs()}
			_, err = m.ToStore(t.Context())
			require.ErrorContains(t, err, test.says)
			require.False(t, m.Began)
			loaded, err = opened(t, url).Load(t.Context())
			require.NoError(t, err)
			require.Equal(t, name == "Target", len(loaded.State.Services) == 1)
		})
	}
}

// alone returns the host as a server without a store, whose directory is data.
func (h *host) alone(data string, args ...string) *host {
	at := slices.Index(h.args, "--store")
	other := *h
	other.args = slices.Concat(h.args[:at], h.args[at+4:], args) // without --peer-listen
	other.args[slices.Index(other.args, "--data")+1] = data
	h.t.Cleanup(other.kill)
	return &other
}

func (h *host) data() string { return h.args[slices.Index(h.args, "--data")+1] }

// command runs a command of the program that asks no server.
func command(args ...string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := &exec.Cmd{Path: self, Args: append([]string{"vespo"}, args...)}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestMigrate moves the directory of a server to etcd, starts two hosts with it, and moves it back.
func TestMigrate(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	store := server.URL("moved")
	first := newHost(t, store)
	root := t.TempDir()
	alone := first.alone(first.data(), "--root", root)
	require.NoError(t, os.Mkdir(filepath.Join(root, "www"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "www", "index.html"), []byte("a page"), 0o600))
	alone.start()
	for _, name := range []string{"hello", "echo"} {
		status, answer := alone.post("/services/add", url.Values{"prefix": {"m"}}, guest(t, name))
		require.Equal(t, 2, status/100, answer)
	}
	status, answer := alone.post("/services/add", url.Values{"prefix": {"files"}, "static": {"www"}}, nil)
	require.Equal(t, http.StatusCreated, status, answer)
	migrate := func(data string, args ...string) (string, error) {
		return command(append([]string{"migrate", "--data", data, "--store", store}, args...)...)
	}
	out, err := migrate(alone.data(), "--root", root)
	require.Error(t, err)
	require.Contains(t, out, "in use by another server")
	alone.kill()
	out, err = migrate(alone.data())
	require.Error(t, err)
	require.Contains(t, out, `/files needs the directory "www", and there is no --root`)
	require.Contains(t, out, "nothing was moved")
	out, err = migrate(alone.data(), "--root", root, "--dry-run")
	require.NoError(t, err, out)
	require.Contains(t, out, "would move services: 2, versions: 3, modules and other blobs: 2, generation 3")
	out, err = migrate(alone.data(), "--root", root)
	require.NoError(t, err, out)
	require.Contains(t, out, "moved services: 2")

	first.args = append(first.args, "--root", root)
	first.start()
	second := newHost(t, store) // it has no --root
	second.start()
	second.eventually(func() bool { return second.status("/m") == http.StatusOK })
	require.Equal(t, "a page", first.body("/files/"))
	require.Equal(t, http.StatusServiceUnavailable, second.status("/files/"), "it lacks the directory, and says so for this service alone")
	require.Contains(t, second.body("/services/inspect?prefix=files"), "start it with --root")
	require.Contains(t, second.body("/services/inspect?prefix=m"), `"state":"ready"`)

	target := filepath.Join(t.TempDir(), "back")
	out, err = migrate(target, "--back", "--elsewhere")
	require.NoError(t, err, out)
	second.kill()
	out, err = migrate(second.data(), "--back", "--elsewhere")
	require.NoError(t, err, "the directory of a stopped host takes the catalogue, too: %s", out)
	first.kill()
	again := first.alone(target)
	again.start()
	require.Equal(t, "a page", again.body("/files/"))
	status, answer = again.post("/services/rollback", url.Values{"prefix": {"m"}}, nil)
	require.Equal(t, http.StatusOK, status, answer)
	require.Equal(t, "hello from vespo", again.body("/m"), "the earlier version was moved with its module")
}
