package cluster

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
)

// silent is a store that does not answer.
type silent struct{ Store }

func (silent) View(ctx context.Context) (View, error) {
	<-ctx.Done()
	return View{}, ctx.Err()
}

func (silent) Trouble() error { return nil }

// TestExtendedHold keeps a blob whose timer has fired just before it was asked for again.
func TestExtendedHold(t *testing.T) {
	dir, err := filestore.Open(t.TempDir())
	require.NoError(t, err)
	defer dir.Close()
	synctest.Test(t, func(t *testing.T) {
		n, err := NewNode(NodeConfig{Store: silent{}, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		catalogue, _, err := registry.Open(t.Context(), dir, n.Blobs(dir.Blobs()))
		require.NoError(t, err)
		n.Attach(catalogue)
		blob := []byte("blob")
		d := registry.DigestOf(blob)
		require.NoError(t, dir.Blobs().Put(t.Context(), d, blob))
		require.NoError(t, n.keep(t.Context(), d))
		require.NoError(t, n.keep(t.Context(), d))
		n.unhold(d) // as a timer does that has fired before the second keep
		held := func() int {
			n.mu.Lock()
			defer n.mu.Unlock()
			return len(n.holds)
		}
		require.Equal(t, 1, held())
		time.Sleep(holdTime)
		synctest.Wait()
		require.Zero(t, held())
	})
}

// full is a directory on a disk that may be full.
type full struct {
	durable.FS
	on bool
}

func (f *full) Create(name string, mode fs.FileMode) (durable.File, error) {
	if f.on {
		return nil, syscall.ENOSPC
	}
	return f.FS.Create(name, mode)
}

// TestFullDiskIsLoggedOnce drains a host whose disk is full, which each look at the store tries to note.
func TestFullDiskIsLoggedOnce(t *testing.T) {
	disk := &full{FS: durable.Dir(t.TempDir()), on: true}
	store := &listed{drained: []string{"a:1"}}
	var log bytes.Buffer
	cfg := NodeConfig{Store: store, Address: "a:1", Dir: disk, Log: slog.New(slog.NewTextHandler(&log, nil))}
	n, err := NewNode(cfg)
	require.NoError(t, err)
	look := func() {
		_, err := n.look(t.Context())
		require.NoError(t, err)
	}
	for range 10 {
		look()
	}
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), "%s", &log)
	disk.on = false
	look()
	require.Contains(t, log.String(), "it is stored whether")
	again, err := NewNode(cfg)
	require.NoError(t, err)
	require.True(t, again.Draining())
	store.drained, disk.on = nil, true
	look()
	require.Equal(t, 2, strings.Count(log.String(), "level=ERROR"), "%s", &log)
}

// listed is a store with some hosts.
type listed struct {
	Store
	members []Member
	drained []string
}

func (s *listed) View(context.Context) (View, error) {
	return View{Members: s.members, Drained: s.drained}, nil
}

// TestHostsThatLeaveAreForgotten keeps clients of the hosts alone that are there.
func TestHostsThatLeaveAreForgotten(t *testing.T) {
	a, b := Member{Address: "a:1", Certificate: "1", Token: "1"}, Member{Address: "b:1", Certificate: "1", Token: "1"}
	store := &listed{members: []Member{a, b}}
	n, err := NewNode(NodeConfig{Store: store, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Len(t, n.sources(), 2)
	client := n.hosts[b.Address]
	store.members = []Member{b}
	_, err = n.look(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]*peerHost{b.Address: client}, n.hosts)
}

// TestManyModulesWaitOnceForTheStore checks that a start without the store does not wait for it with each module.
func TestManyModulesWaitOnceForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := NewNode(NodeConfig{Store: silent{}, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		began := time.Now()
		for range 1000 {
			require.Empty(t, n.sources())
		}
		require.Equal(t, dialTime, time.Since(began))
	})
}
