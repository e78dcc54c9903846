package cluster

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

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
