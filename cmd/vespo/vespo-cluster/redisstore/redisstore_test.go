package redisstore

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/storetest"
)

// openAt opens the stores of an engine. change may change the configuration.
func openAt(t testing.TB, address string, change ...func(*Config)) *Stores {
	t.Helper()
	cfg, err := Parse("redis://" + address)
	require.NoError(t, err)
	for _, f := range change {
		f(&cfg)
	}
	s, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	return s
}

// conformance runs the suite on an engine.
func conformance(t *testing.T, address string, cluster bool) {
	var prefixes atomic.Int64
	clock := storetest.NewClock()
	fresh := func() func(*Config) {
		prefix := fmt.Sprint("test", prefixes.Add(1))
		return func(c *Config) { c.Prefix, c.Now, c.Cluster, c.Timeout = prefix, clock.Now, cluster, time.Minute }
	}
	storetest.RunWith(t, clock, func(t *testing.T) storetest.Open {
		change := fresh()
		return func(t *testing.T) (kv.Stores, func() error) {
			s := openAt(t, address, change)
			return s, s.Close
		}
	})
	storetest.RunShared(t, clock, func(t *testing.T, q kv.Quotas) storetest.Open {
		change := fresh()
		return func(t *testing.T) (kv.Stores, func() error) {
			s := openAt(t, address, change, func(c *Config) { c.Quotas = q })
			return s, s.Close
		}
	}, func(s kv.Stores) error { return s.(*Stores).sweep(t.Context()) })
}

func TestMain(m *testing.M) {
	Silence()
	m.Run()
}

func TestConformance(t *testing.T) { conformance(t, enginetest.StartRedis(t).Address, false) }

// TestCluster runs the suite in a cluster, and moves the slot of the keys to another node.
func TestCluster(t *testing.T) {
	nodes := []*enginetest.Redis{enginetest.StartRedis(t, "--cluster-enabled", "yes"), enginetest.StartRedis(t, "--cluster-enabled", "yes")}
	enginetest.JoinCluster(t, nodes...)
	conformance(t, nodes[0].Address, true)
	s := openAt(t, nodes[1].Address, func(c *Config) { c.Cluster = true })
	require.NoError(t, enginetest.Add(t.Context(), s))
	for n := range 4 { // keys stay behind: the new node begins without them
		enginetest.MoveSlot(t, "{vespo}", nodes[n%2], nodes...)
		enginetest.Eventually(t, func() error { return enginetest.Add(t.Context(), s) })
		require.NotEmpty(t, enginetest.Value(t, s, "n"))
	}
	require.NoError(t, s.Close())
}
