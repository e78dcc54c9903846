package cluster

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// silent is a store that does not answer.
type silent struct{ Store }

func (silent) View(ctx context.Context) (View, error) {
	<-ctx.Done()
	return View{}, ctx.Err()
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
