package pgqueue

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/pgstore"
	"github.com/vespo-dev/vespo/services/queues/storetest"
)

// openAt opens the store of an engine. change may change the configuration.
func openAt(t testing.TB, address string, change ...func(*Config)) *Store {
	t.Helper()
	parsed, err := pgstore.Parse("postgres://postgres@" + address + "/postgres")
	require.NoError(t, err)
	cfg := Config{Config: parsed}
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
	engine := enginetest.StartPostgres(t, "synchronous_commit=off", "default_transaction_isolation="+isolation) // a Put waits for the disk anyway
	var schemas atomic.Int64
	storetest.Run(t, func(*testing.T) storetest.Open {
		schema := fmt.Sprint("test", schemas.Add(1))
		return func(t *testing.T) (storetest.Store, func() error) {
			s := openAt(t, engine.Address, func(c *Config) { c.Schema, c.Timeout = schema, time.Minute })
			return s, s.Close
		}
	})
}
