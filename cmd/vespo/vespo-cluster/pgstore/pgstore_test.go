package pgstore

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
	cfg, err := Parse("postgres://postgres@" + address + "/postgres")
	require.NoError(t, err)
	for _, f := range change {
		f(&cfg)
	}
	s, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	return s
}

func TestConformance(t *testing.T) { conform(t, "read committed") }

// TestIsolation uses databases whose default isolation is not PostgreSQL's own.
func TestIsolation(t *testing.T) {
	for _, level := range []string{"repeatable read", "serializable"} {
		t.Run(level, func(t *testing.T) { conform(t, level) })
	}
}

// conform runs the suite in a database with a default isolation.
func conform(t *testing.T, isolation string) {
	engine := enginetest.StartPostgres(t, "synchronous_commit=off", "default_transaction_isolation="+isolation) // kv_write waits for the disk anyway
	var schemas atomic.Int64
	clock := storetest.NewClock()
	fresh := func() func(*Config) {
		schema := fmt.Sprint("test", schemas.Add(1))
		return func(c *Config) { c.Schema, c.Now, c.Timeout = schema, clock.Now, time.Minute } // fsyncs of a busy disk are slow
	}
	storetest.RunWith(t, clock, func(t *testing.T) storetest.Open {
		change := fresh()
		return func(t *testing.T) (kv.Stores, func() error) {
			s := openAt(t, engine.Address, change)
			return s, s.Close
		}
	})
	storetest.RunShared(t, clock, func(t *testing.T, q kv.Quotas) storetest.Open {
		change := fresh()
		return func(t *testing.T) (kv.Stores, func() error) {
			s := openAt(t, engine.Address, change, func(c *Config) { c.Quotas = q })
			return s, s.Close
		}
	}, func(s kv.Stores) error { return s.(*Stores).sweep(t.Context()) })
}
