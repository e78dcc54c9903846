package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// startObjects starts an object store with a bucket. It refuses all while away is set.
func startObjects(t *testing.T, away *atomic.Bool) (url string) {
	t.Helper()
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("modules"))
	fake := gofakes3.New(backend).Server()
	objects := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(objects.Close)
	return "s3://modules/vespo?region=us-east-1&endpoint=" + objects.URL
}

// TestMigrateWithObjects moves a catalogue whose modules are in the object store alone to a directory, and that one to another prefix.
func TestMigrateWithObjects(t *testing.T) {
	t.Parallel()
	objects, moved := startObjects(t, new(atomic.Bool)), startObjects(t, new(atomic.Bool))
	server := etcdtest.Start(t)
	first := newHost(t, server.URL("objects"))
	first.args = append(first.args, "--blobs", objects)
	first.start()
	status, answer := first.post("/services/add", url.Values{"prefix": {"hello"}}, guest(t, "hello"))
	require.Equal(t, http.StatusCreated, status, answer)
	first.kill()

	target := filepath.Join(t.TempDir(), "back")
	back := []string{"migrate", "--back", "--data", target, "--store", server.URL("objects")}
	out, err := command(back...)
	require.Error(t, err)
	require.Contains(t, out, "name their object store with --blobs")
	require.NoDirExists(t, target)
	out, err = command(append(back, "--blobs", objects, "--dry-run")...)
	require.NoError(t, err, out)
	require.NoDirExists(t, target)
	out, err = command(append(back, "--blobs", objects)...)
	require.NoError(t, err, out)
	alone := first.alone(target)
	alone.args = slices.DeleteFunc(alone.args, func(arg string) bool { return arg == "--blobs" || arg == objects })
	alone.start()
	require.Equal(t, "hello from vespo", alone.body("/hello"))
	alone.kill()

	out, err = command("migrate", "--data", target, "--store", server.URL("again"), "--blobs", moved)
	require.NoError(t, err, out)
	second := newHost(t, server.URL("again"))
	second.args = append(second.args, "--blobs", moved)
	second.start()
	second.eventually(func() bool { return second.body("/hello") == "hello from vespo" })
}

// TestMigrateBackOfNothing leaves no directory behind.
func TestMigrateBackOfNothing(t *testing.T) {
	t.Parallel()
	server := etcdtest.Start(t)
	target := filepath.Join(t.TempDir(), "back")
	for _, store := range []string{server.URL("empty"), "etcd://127.0.0.1:1/empty?timeout=1s&dial_timeout=1s"} {
		out, err := command("migrate", "--back", "--data", target, "--store", store)
		require.Error(t, err)
		require.Contains(t, out, "nothing was moved")
		require.NoDirExists(t, target)
	}
}

// TestObjectStore deploys on one host and serves on another one that never saw it. Without the object store, deploys are
// refused by its name, and serving goes on.
func TestObjectStore(t *testing.T) {
	t.Parallel()
	var away atomic.Bool
	objects := startObjects(t, &away)
	server := etcdtest.Start(t)
	newHostWith := func() *host {
		h := newHost(t, server.URL("objects"))
		h.args = append(h.args, "--blobs", objects)
		return h
	}
	first := newHostWith()
	first.start()
	status, answer := first.post("/services/add", url.Values{"prefix": {"hello"}}, guest(t, "hello"))
	require.Equal(t, http.StatusCreated, status, answer)
	require.NotContains(t, first.log.String(), "only host", "the module is in the object store, too")
	first.kill()

	second := newHostWith()
	second.start()
	second.eventually(func() bool { return second.body("/hello") == "hello from vespo" })

	away.Store(true)
	status, answer = second.post("/services/add", url.Values{"prefix": {"echo"}}, guest(t, "echo"))
	require.Equal(t, http.StatusServiceUnavailable, status, answer)
	require.Contains(t, answer, "s3://modules/vespo")
	require.Contains(t, answer, "nothing was changed")
	require.Equal(t, "hello from vespo", second.body("/hello"))
	require.Equal(t, 1, strings.Count(second.log.String(), "the object store cannot be used"), "%s", second.log)
	require.Contains(t, second.body("/services/metrics"), "\nvespo_store_objects_away 1\n")
	away.Store(false)
	status, answer = second.post("/services/add", url.Values{"prefix": {"echo"}}, guest(t, "echo"))
	require.Equal(t, http.StatusCreated, status, answer)
	require.Contains(t, second.log.String(), "the object store can be used again")
	require.Contains(t, second.body("/services/metrics"), "\nvespo_store_objects_away 0\n")
}

// TestStartWithoutObjects starts with an object store that cannot be reached. The log says so, before a deploy.
func TestStartWithoutObjects(t *testing.T) {
	server := etcdtest.Start(t)
	h := newHost(t, server.URL("objects"))
	h.args = append(h.args, "--blobs", "s3://modules/vespo?region=us-east-1&endpoint=http://127.0.0.1:1")
	h.start()
	h.eventually(func() bool { return strings.Contains(h.log.String(), "the object store cannot be used") })
	require.Contains(t, h.body("/services/metrics"), "\nvespo_store_objects_away 1\n")
	status, answer := h.redirect("/a", "/1")
	require.Equal(t, http.StatusCreated, status, answer)
	require.Equal(t, "/1", h.seen("/a"))
}
