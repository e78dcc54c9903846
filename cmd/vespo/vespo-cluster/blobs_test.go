package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// TestObjectStore deploys on one host and serves on another one that never saw it. Without the object store, deploys are
// refused by its name, and serving goes on.
func TestObjectStore(t *testing.T) {
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("modules"))
	fake := gofakes3.New(backend).Server()
	var away atomic.Bool
	objects := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if away.Load() {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fake.ServeHTTP(w, r)
	}))
	defer objects.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	server := etcdtest.Start(t)
	newHostWith := func() *host {
		h := newHost(t, server.URL("objects"))
		h.args = append(h.args, "--blobs", "s3://modules/vespo?region=us-east-1&endpoint="+objects.URL)
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
	away.Store(false)
	status, answer = second.post("/services/add", url.Values{"prefix": {"echo"}}, guest(t, "echo"))
	require.Equal(t, http.StatusCreated, status, answer)
}
