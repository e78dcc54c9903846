package cluster

import (
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/services/egress/forward"
	"github.com/vespo-dev/vespo/services/placement"
)

// TestRequestsDoNotWaitForTheStore starts without the store: requests to services of other hosts are answered at once, and so is
// the question for the number of hosts.
func TestRequestsDoNotWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, err := NewNode(NodeConfig{Store: silent{}, Address: "a:1", Log: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		began := time.Now()
		require.True(t, n.Holds("/a", placement.Placement{Replicas: 1}))
		require.Equal(t, dialTime, time.Since(began), "the start asks once")
		began = time.Now()
		for range 3 {
			peers, _ := n.holders("/b", placement.Placement{On: []string{"gpu"}})
			require.Empty(t, peers)
			require.False(t, n.Holds("/b", placement.Placement{On: []string{"gpu"}}))
			require.Zero(t, n.forward.Stats().Placing)
			time.Sleep(n.refresh)
		}
		require.Equal(t, 3*n.refresh, time.Since(began))
	})
}

// TestServicesMoveWhenTheStoreIsReached lets a host serve a service of another one since a start without the store, until it knows
// the other one.
func TestServicesMoveWhenTheStoreIsReached(t *testing.T) {
	names := []string{"a:1", "b:1"}
	own, other := "b:1", "a:1"
	if placement.Ranked("/a", names)[0] == 1 {
		own, other = other, own
	}
	store := &listed{}
	n, err := NewNode(NodeConfig{Store: store, Address: own, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	n.placesAsked.Do(func() {}) // in vain
	one := placement.Placement{Replicas: 1}
	require.True(t, n.Holds("/a", one))
	store.members = []Member{{Address: other, Certificate: "1", Token: "1", Places: true}}
	_, err = n.look(t.Context())
	require.NoError(t, err)
	require.False(t, n.Holds("/a", one))
	require.Len(t, n.moved, 1, "Follow looks")
}

// TestHostsThatCannotServeAreAskedLast lets one of two holders announce that it cannot serve the service.
func TestHostsThatCannotServeAreAskedLast(t *testing.T) {
	store := &listed{}
	n, err := NewNode(NodeConfig{Store: store, Address: "a:1", Labels: []string{"front"}, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	member := func(address string, failing ...string) Member {
		return Member{Address: address, Certificate: "1", Token: "1", Labels: []string{"back"}, Places: true, Unavailable: failing}
	}
	back := placement.Placement{On: []string{"back"}}
	for failing, working := range map[string]string{"b:1": "c:1", "c:1": "b:1"} {
		store.members = []Member{member(failing, "/a"), member(working)}
		_, err = n.look(t.Context())
		require.NoError(t, err)
		peers, equal := n.holders("/a", back)
		require.Equal(t, 1, equal)
		require.Equal(t, []*forward.Peer{n.hosts[working].forward, n.hosts[failing].forward}, peers)
		for range 2 {
			_, equal = n.holders("/b", back)
			require.Equal(t, 2, equal)
			_, equal = n.holders("/b", placement.Placement{On: back.On, Replicas: 1})
			require.Equal(t, 1, equal, "another version")
		}
	}
	store.members = []Member{member("b:1", "/a")}
	_, err = n.look(t.Context())
	require.NoError(t, err)
	peers, equal := n.holders("/a", back)
	require.Len(t, peers, 1, "it has the reason")
	require.Equal(t, 1, equal)
}

// TestHostsAreKnownWithoutTheStore starts a host again while the store does not answer. It knows the others as they were, and whether it
// holds a service, until the store answers.
func TestHostsAreKnownWithoutTheStore(t *testing.T) {
	member := func(address string, labels ...string) Member {
		return Member{Address: address, Certificate: "1", Token: "2", Labels: labels, Places: true}
	}
	gpu, one := placement.Placement{On: []string{"gpu"}}, placement.Placement{Replicas: 1}
	names := []string{"a:1", "b:1"}
	service := "/a"
	for placement.Ranked(service, names)[0] != 1 {
		service += "a"
	}
	dir := t.TempDir()
	cfg := NodeConfig{Address: "a:1", Dir: durable.Dir(dir), Log: slog.New(slog.DiscardHandler)}
	store := &listed{members: []Member{member("b:1", "gpu"), member("c:1", "gpu"), {Address: "starting:1"}}, drained: []string{"c:1"}}
	cfg.Store = store
	n, err := NewNode(cfg)
	require.NoError(t, err)
	_, err = n.look(t.Context())
	require.NoError(t, err)

	synctest.Test(t, func(t *testing.T) {
		cfg := cfg
		cfg.Store, cfg.Dir = silent{}, durable.Dir(dir)
		n, err := NewNode(cfg)
		require.NoError(t, err)
		peers, equal := n.holders("/b", gpu)
		require.Equal(t, 1, equal)
		require.Equal(t, []*forward.Peer{n.hosts["b:1"].forward, n.hosts["c:1"].forward}, peers, "the one that is drained is last")
		require.Equal(t, Member{Address: "b:1", Certificate: "1", Token: "2", Labels: []string{"gpu"}, Places: true}, n.hosts["b:1"].member)
		require.False(t, n.Holds("/b", gpu))
		require.False(t, n.Holds(service, one), "it is that of another host")
		require.True(t, n.Fits(gpu))
		require.Equal(t, 2, n.forward.Stats().Placing)

		n.store = &listed{members: []Member{member("d:1", "gpu")}}
		_, err = n.look(t.Context())
		require.NoError(t, err)
		peers, _ = n.holders("/b", gpu)
		require.Equal(t, []*forward.Peer{n.hosts["d:1"].forward}, peers)
		n.Close()
	})
	again, err := NewNode(cfg)
	require.NoError(t, err)
	require.Len(t, again.recalled, 1)
	require.Equal(t, "d:1", again.recalled[0].address)
}

// BenchmarkHolders looks up the holders of a service, as each forwarded request does.
func BenchmarkHolders(b *testing.B) {
	for _, hosts := range []int{3, 30} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			store := &listed{}
			for i := range hosts - 1 {
				store.members = append(store.members, Member{Address: fmt.Sprintf("b%d:1", i), Certificate: "1", Token: "1", Labels: []string{"zone=a", "on"}, Places: true})
			}
			n, err := NewNode(NodeConfig{Store: store, Address: "a:1", Log: slog.New(slog.DiscardHandler)})
			require.NoError(b, err)
			defer n.Close()
			_, err = n.look(b.Context())
			require.NoError(b, err)
			on := placement.Placement{On: []string{"on"}, Replicas: 2}
			for b.Loop() {
				n.holders("/service", on)
			}
		})
	}
}
