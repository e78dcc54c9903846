package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/egress/peer"
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

func (*listed) Trouble() error { return nil }

func (*listed) Keep(*registry.State) {}

func (s *listed) View(context.Context) (View, error) {
	return View{Members: s.members, Drained: s.drained}, nil
}

// TestHostsThatLeaveAreForgotten keeps clients of present hosts, and for a time of earlier ones.
func TestHostsThatLeaveAreForgotten(t *testing.T) {
	a, b := Member{Address: "a:1", Certificate: "1", Token: "1"}, Member{Address: "b:1", Certificate: "1", Token: "1"}
	synctest.Test(t, func(t *testing.T) {
		store := &listed{members: []Member{a, b}}
		n, err := NewNode(NodeConfig{Store: store, Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		look := func() {
			_, err = n.look(t.Context())
			require.NoError(t, err)
		}
		require.Len(t, n.sources(), 2)
		require.Empty(t, n.lostSources())
		gone, client := n.hosts[a.Address], n.hosts[b.Address]
		store.members = []Member{b}
		look()
		require.Equal(t, []*peer.Host{client.host}, n.sources())
		require.Equal(t, []*peer.Host{gone.host}, n.lostSources())
		time.Sleep(lostTime + time.Second)
		look()
		require.Empty(t, n.lostSources())
		require.Len(t, n.hosts, 1)
		require.Same(t, client, n.hosts[b.Address])
	})
}

// TestLostHostsAreRemembered starts again and again with a store that lists no other host.
func TestLostHostsAreRemembered(t *testing.T) {
	dir := t.TempDir()
	start := func(members ...Member) *Node {
		cfg := NodeConfig{Store: &listed{members: members}, Address: "own:1", Dir: durable.Dir(dir), Log: slog.New(slog.DiscardHandler)}
		n, err := NewNode(cfg)
		require.NoError(t, err)
		return n
	}
	look := func(n *Node) *Node {
		_, err := n.look(t.Context())
		require.NoError(t, err)
		return n
	}
	addresses := func(n *Node) (all []string) {
		for _, h := range n.lostSources() {
			all = append(all, h.String())
		}
		slices.Sort(all)
		return all
	}
	a, b := Member{Address: "a:1", Token: "1", Places: true}, Member{Address: "b:1", Token: "1", Places: true}
	require.Empty(t, addresses(look(start(a, b))))
	for range 3 {
		n := start()
		require.Equal(t, []string{"https://a:1", "https://b:1"}, addresses(n), "before the store has answered")
		require.Equal(t, []string{"https://a:1", "https://b:1"}, addresses(look(n)))
		require.Empty(t, n.sources())
	}
	again := a
	again.Token = "2" // it has started again
	require.Equal(t, []string{"https://b:1"}, addresses(look(start(again))))
	require.Equal(t, []string{"https://a:1", "https://b:1"}, addresses(look(start())))
	var many []Member
	for i := range 2 * maxLost {
		many = append(many, Member{Address: fmt.Sprintf("c%d:1", i), Token: "1", Places: true})
	}
	look(start(many...))
	require.Len(t, addresses(look(start())), maxLost)
}

// TestLostHostsFileOfTheVersionBefore reads a file without lost hosts, and hosts of long ago.
func TestLostHostsFileOfTheVersionBefore(t *testing.T) {
	dir := t.TempDir()
	text := `{"format":"vespo host of a store","version":1,"drained":false,"hosts":[{"address":"a:1","certificate":"","token":"1"}],` +
		`"lost":[{"address":"b:1","certificate":"","token":"1","since":"2001-01-01T00:00:00Z"}]}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, hostFile), []byte(text), 0o600))
	n, err := NewNode(NodeConfig{Store: &listed{}, Address: "own:1", Dir: durable.Dir(dir), Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	require.Len(t, n.lostSources(), 2, "the store may have been away for years")
	_, err = n.look(t.Context())
	require.NoError(t, err)
	require.Len(t, n.lostSources(), 1)
}

// unavailable is an Adopter that can never prepare one service.
type unavailable struct{ adoptions chan deploy.Adoption }

func (u unavailable) Adopt(_ context.Context, a deploy.Adoption) (deploy.Adopted, error) {
	u.adoptions <- a
	return deploy.Adopted{State: a.State, Unavailable: []routekey.Key{{Prefix: "/a"}}}, nil
}

// TestNewHostIsAskedAtOnce tries unavailable services again when a host appears, and else after retryTime.
func TestNewHostIsAskedAtOnce(t *testing.T) {
	dir, err := filestore.Open(t.TempDir())
	require.NoError(t, err)
	defer dir.Close()
	synctest.Test(t, func(t *testing.T) {
		store := new(listed)
		n, err := NewNode(NodeConfig{Store: store, Address: "own:1", Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		catalogue, _, err := registry.Open(t.Context(), dir, n.Blobs(dir.Blobs()))
		require.NoError(t, err)
		look := func() {
			_, err := n.look(t.Context())
			require.NoError(t, err)
		}
		look()
		u := unavailable{make(chan deploy.Adoption, 100)}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			n.Follow(ctx, catalogue, u)
		}()
		require.False(t, (<-u.adoptions).Retry)
		for _, token := range []string{"1", "2"} { // it appears, and starts again
			synctest.Wait()
			require.Empty(t, u.adoptions)
			began := time.Now()
			store.members = []Member{{Address: "a:1", Token: token}}
			look()
			require.True(t, (<-u.adoptions).Retry)
			require.Zero(t, time.Since(began))
			look()
		}
		began := time.Now()
		require.True(t, (<-u.adoptions).Retry)
		require.Equal(t, retryTime, time.Since(began))
		store.members = nil
		look()
		synctest.Wait()
		require.Empty(t, u.adoptions, "a host that has left has no modules")
		cancel()
		<-ended
	})
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
