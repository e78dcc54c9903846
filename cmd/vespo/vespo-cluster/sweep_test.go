package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdstore"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/s3store"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/storetest"
)

// bucket is an object store whose deletions take a random time, before and after they are made.
type bucket struct {
	backend *s3mem.Backend
	url     string
	slow    atomic.Bool
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{backend: s3mem.New()}
	require.NoError(t, b.backend.CreateBucket("modules"))
	fake := gofakes3.New(b.backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		slow := b.slow.Load() && r.Method == http.MethodDelete && strings.Contains(r.URL.Path, "/sha256/")
		if slow {
			<-time.After(rand.N(500 * time.Millisecond))
		}
		fake.ServeHTTP(w, r)
		if slow {
			<-time.After(rand.N(20 * time.Millisecond))
		}
	}))
	t.Cleanup(server.Close)
	b.url = "s3://modules/vespo?region=us-east-1&endpoint=" + server.URL
	return b
}

// has reports whether there is an object below the prefix.
func (b *bucket) has(name string) bool {
	_, err := b.backend.HeadObject("modules", "vespo/"+name)
	return err == nil
}

func (b *bucket) hasBlob(d registry.Digest) bool { return b.has("sha256/" + d.Hex()) }

// member is a host without services: its node and its registry.
type member struct {
	*cluster.Node
	catalogue *registry.Registry
}

func newMember(t *testing.T, store, objects string, grace time.Duration) *member {
	t.Helper()
	s, err := etcdstore.OpenURL(t.Context(), cluster.Options{URL: store, Host: fmt.Sprintf("host-%d:1", rand.Uint32()), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	o, err := s3store.OpenURL(cluster.ObjectsOptions{URL: objects, MaxBytes: 1 << 20})
	require.NoError(t, err)
	node, err := cluster.NewNode(cluster.NodeConfig{Store: s, Objects: o, ObjectsGrace: grace, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	require.NoError(t, err)
	catalogue, _, err := registry.Open(t.Context(), node.Catalogue(), node.Blobs(storetest.NewMemoryBlobs()))
	require.NoError(t, err)
	node.Attach(catalogue)
	t.Cleanup(func() {
		node.Close()
		_ = o.Close()
		_ = s.Close()
	})
	return &member{node, catalogue}
}

// commit makes a change, again if another host was first.
func (m *member) commit(ctx context.Context, change func(*registry.State) (*registry.State, error)) error {
	for {
		base := m.catalogue.State()
		next, err := change(base)
		if err != nil {
			return err
		}
		if err = m.catalogue.Commit(ctx, base, next); !errors.Is(err, registry.ErrStale) {
			return err
		}
	}
}

// deploy stores a blob, and after a pause commits a service with it.
func (m *member) deploy(ctx context.Context, prefix string, blob []byte, pause time.Duration) error {
	d, release, err := m.catalogue.PutBlob(ctx, blob)
	if err != nil {
		return err
	}
	defer release()
	<-time.After(pause)
	return m.commit(ctx, func(s *registry.State) (*registry.State, error) {
		next, _ := s.Put(routekey.MustParse(prefix), registry.Version{
			Kind:     "test",
			Manifest: "{}",
			Blobs:    []registry.Blob{{Field: "module", Digest: d, SizeBytes: int64(len(blob))}},
			Deployed: time.Now().UTC().Round(0),
		})
		return next, nil
	})
}

func (m *member) remove(ctx context.Context, prefix string) error {
	return m.commit(ctx, func(s *registry.State) (*registry.State, error) { return s.Remove(routekey.MustParse(prefix)) })
}

// TestSweepsSpareDeployedModules sweeps without pause on two hosts, with a tiny grace, while others deploy and remove the same few
// modules. Each module of an acknowledged deploy is there until its service is removed.
func TestSweepsSpareDeployedModules(t *testing.T) {
	t.Parallel()
	const grace, duration = time.Second, 20 * time.Second
	server := etcdtest.Start(t)
	b := newBucket(t)
	b.slow.Store(true)
	var hosts []*member
	for range 3 {
		hosts = append(hosts, newMember(t, server.URL("sweep"), b.url, grace))
	}
	require.NoError(t, hosts[0].deploy(t.Context(), "/always", []byte("always"), 0))
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var deploys, deleted atomic.Int64
	var running sync.WaitGroup
	for i := range 16 {
		host := hosts[i%len(hosts)]
		prefix := fmt.Sprintf("/%d", i)
		running.Go(func() {
			for ctx.Err() == nil {
				blob := fmt.Appendf(nil, "module %d", rand.N(6))
				if err := host.deploy(t.Context(), prefix, blob, rand.N(300*time.Millisecond)); err != nil {
					t.Errorf("deploy: %v", err)
					return
				}
				deploys.Add(1)
				for range 5 {
					if !b.hasBlob(registry.DigestOf(blob)) {
						t.Errorf("%q of an acknowledged deploy is gone", blob)
					}
					<-time.After(rand.N(200 * time.Millisecond))
				}
				if err := host.remove(t.Context(), prefix); err != nil {
					t.Errorf("remove: %v", err)
					return
				}
				<-time.After(rand.N(5 * time.Second))
			}
		})
	}
	for _, host := range hosts[:2] {
		running.Go(func() {
			for ctx.Err() == nil {
				swept, err := host.SweepObjects(t.Context())
				deleted.Add(int64(swept.Deleted))
				if err != nil {
					t.Errorf("sweep: %v", err)
				}
				<-time.After(rand.N(50 * time.Millisecond))
			}
		})
	}
	running.Wait()
	t.Logf("%d deploys, %d deletions", deploys.Load(), deleted.Load())
	require.NotZero(t, deleted.Load())
	require.True(t, b.hasBlob(registry.DigestOf([]byte("always"))))
}

// TestSweep deletes modules that were marked by an earlier sweep, and nothing else.
func TestSweep(t *testing.T) {
	const grace = time.Second
	server := etcdtest.Start(t)
	b := newBucket(t)
	host := newMember(t, server.URL("sweep"), b.url, grace)
	put := func(name, content string) {
		_, err := b.backend.PutObject("modules", name, map[string]string{}, strings.NewReader(content), int64(len(content)), nil)
		require.NoError(t, err)
	}
	used, unused, again := []byte("used"), []byte("unused"), []byte("again")
	_, err := host.SweepObjects(t.Context())
	require.ErrorContains(t, err, "refers to no module at all")
	require.NoError(t, host.deploy(t.Context(), "/used", used, 0))
	for prefix, blob := range map[string][]byte{"/unused": unused, "/again": again} {
		require.NoError(t, host.deploy(t.Context(), prefix, blob, 0))
		require.NoError(t, host.remove(t.Context(), prefix))
	}
	digest := registry.DigestOf(unused)
	others := []string{"vespo2/sha256/" + digest.Hex(), "sha256/" + digest.Hex(), "vespo/sha256/readme", "vespo/sha256/" + strings.ToUpper(digest.Hex()),
		"vespo/sha256/old/" + digest.Hex(), "vespo/" + digest.Hex()}
	for _, name := range others {
		put(name, "other")
	}
	put("vespo/unreferenced/"+registry.DigestOf(used).Hex(), "a mark from before")
	sweep := func() cluster.Swept {
		swept, err := host.SweepObjects(t.Context())
		require.NoError(t, err)
		return swept
	}
	require.Equal(t, cluster.Swept{Unreferenced: 2}, sweep(), "they are marked")
	require.False(t, b.has("unreferenced/"+registry.DigestOf(used).Hex()))
	require.True(t, b.has("unreferenced/"+digest.Hex()))
	<-time.After(grace + 3*time.Second) // times of objects are in seconds
	_, release, err := host.catalogue.PutBlob(t.Context(), again)
	require.NoError(t, err)
	defer release()
	require.Equal(t, cluster.Swept{Unreferenced: 2, Deleted: 1, Bytes: int64(len(unused))}, sweep())
	require.EqualValues(t, 1, host.Stats().SweptObjects)
	require.False(t, b.hasBlob(digest))
	require.False(t, b.has("unreferenced/"+digest.Hex()))
	require.True(t, b.hasBlob(registry.DigestOf(used)))
	require.True(t, b.hasBlob(registry.DigestOf(again)), "it was stored a moment ago")
	for _, name := range others {
		_, err := b.backend.HeadObject("modules", name)
		require.NoError(t, err, name)
	}

	require.NoError(t, host.deploy(t.Context(), "/unused", unused, 0), "a module that was deleted")
	require.True(t, b.hasBlob(digest))
	require.NoError(t, host.remove(t.Context(), "/unused"))
	sweep()
	<-time.After(grace + 3*time.Second)
	server.Kill(t)
	swept, err := host.SweepObjects(t.Context())
	var unreachable *registry.UnreachableError
	require.ErrorAs(t, err, &unreachable)
	require.Zero(t, swept.Deleted)
	require.True(t, b.hasBlob(digest))

	server.Run(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		host.Announce(ctx)
	}()
	require.True(t, within(patience, func() bool { return !b.hasBlob(digest) }), "it is swept again when etcd is back")
	cancel()
	<-ended
}

// TestCondemnedModule does not acknowledge a deploy while its module may be deleted.
func TestCondemnedModule(t *testing.T) {
	server := etcdtest.Start(t)
	b := newBucket(t)
	host := newMember(t, server.URL("condemned"), b.url, time.Hour)
	store := opened(t, server.URL("condemned"))
	blob := []byte("module")
	d := registry.DigestOf(blob)
	condemned, err := store.Condemn(t.Context(), []registry.Digest{d}, time.Minute)
	require.NoError(t, err)
	require.NoError(t, condemned.Extend(t.Context()))
	deployed := make(chan error, 1)
	go func() { deployed <- host.deploy(t.Context(), "/a", blob, 0) }()
	require.True(t, within(patience, func() bool { return b.hasBlob(d) }))
	_, err = b.backend.DeleteObject("modules", "vespo/sha256/"+d.Hex())
	require.NoError(t, err)
	select {
	case err := <-deployed:
		require.Fail(t, "the deploy has not waited", "%v", err)
	case <-time.After(time.Second):
	}
	require.False(t, b.hasBlob(d))
	condemned.Release()
	require.NoError(t, <-deployed)
	require.True(t, b.hasBlob(d))
	require.Error(t, condemned.Extend(t.Context()))
}
