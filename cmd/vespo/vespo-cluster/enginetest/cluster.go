package enginetest

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// clusterSlots is the number of slots of a cluster.
const clusterSlots = 16384

// JoinCluster makes engines with cluster-enabled nodes of one cluster, and waits until it serves.
func JoinCluster(t testing.TB, nodes ...*Redis) {
	t.Helper()
	for i, n := range nodes {
		n.Do(t, "CLUSTER", "ADDSLOTSRANGE", i*clusterSlots/len(nodes), (i+1)*clusterSlots/len(nodes)-1)
		n.Do(t, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		host, port, err := net.SplitHostPort(n.Address)
		require.NoError(t, err)
		nodes[0].Do(t, "CLUSTER", "MEET", host, port)
	}
	for _, n := range nodes {
		n.process.await(t, func() error {
			if info, _ := n.Do(t, "CLUSTER", "INFO").(string); !strings.Contains(info, "cluster_state:ok") {
				return errNotReady
			}
			return nil
		})
	}
}

// MoveSlot gives the slot of a key to one of the nodes, without its keys.
func MoveSlot(t testing.TB, key string, to *Redis, nodes ...*Redis) {
	t.Helper()
	slot, id := to.Do(t, "CLUSTER", "KEYSLOT", key), to.Do(t, "CLUSTER", "MYID")
	to.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", id)
	for _, n := range nodes {
		if n != to {
			if keys := n.Do(t, "CLUSTER", "GETKEYSINSLOT", slot, clusterSlots).([]any); len(keys) > 0 {
				n.Do(t, append([]any{"DEL"}, keys...)...)
			}
			n.Do(t, "CLUSTER", "SETSLOT", slot, "NODE", id)
		}
	}
}
