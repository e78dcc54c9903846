package etcdstore

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/storetest"
)

func TestConformance(t *testing.T) {
	server := etcdtest.Start(t)
	storetest.Run(t, func(t *testing.T) storetest.Medium {
		url := server.URL(strings.ReplaceAll(t.Name(), "/", "-"))
		return storetest.Medium{Open: func(t *testing.T) (registry.Store, func()) {
			store := openStore(t, url)
			return store, func() { require.NoError(t, store.Close()) }
		}}
	})
}

// openStore opens a store. Its log goes to the test.
func openStore(t *testing.T, url string) *Store {
	t.Helper()
	cfg, err := Parse(url)
	require.NoError(t, err)
	require.NoError(t, cfg.Load("", nil))
	store, err := Open(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, err)
	return store
}
