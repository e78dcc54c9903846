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

func TestConformance(t *testing.T) {
	engine := enginetest.StartPostgres(t, "synchronous_commit=off") // what must wait for the disk does anyway
	var schemas atomic.Int64
	storetest.Run(t, func(*testing.T) storetest.Open {
		schema := fmt.Sprint("test", schemas.Add(1))
		return func(t *testing.T) (storetest.Store, func() error) {
			s := openAt(t, engine.Address, func(c *Config) { c.Schema, c.Timeout = schema, time.Minute })
			return s, s.Close
		}
	})
}
