package cluster

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

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

// listed is a store with some hosts.
type listed struct {
	Store
	members []Member
}

func (s *listed) View(context.Context) (View, error) { return View{Members: s.members}, nil }

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
