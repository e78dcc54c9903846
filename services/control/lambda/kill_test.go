package lambda

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
)

// PublishForever publishes versions of the function site and points an alias at each. It acknowledges both.
func PublishForever(dir string, acknowledge func(string, ...any)) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	store, err := filestore.Open(filepath.Join(dir, "data"))
	if err != nil {
		return err
	}
	kept, err := openFunctions(store, root)
	if err != nil {
		return err
	}
	k := kept.(keptFunctions)
	if k.catalogue.State().Services[routekey.MustParse("/site")].Key.IsZero() {
		if err := k.Step(0); err != nil {
			return err
		}
	}
	for {
		ctx := context.Background()
		published, err := k.publish(ctx, "site", routekey.MustParse("/site"), func(registry.Service) error { return nil })
		if err != nil {
			return err
		}
		_, number, _ := versionOf(published.Service.Key)
		acknowledge("version %s.", number)
		_, err = k.changeAlias(ctx, "site", "prod", routekey.MustParse("/site"), func(*alias) (*alias, error) {
			return &alias{Version: number, Revision: number}, nil
		})
		if err != nil {
			return err
		}
		acknowledge("alias %s.", number)
	}
}

// TestKill kills a process that changes functions. All acknowledged changes are found, each wholly.
func TestKill(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	root := site(t, dir)
	acknowledged := map[string]int{}
	for range rounds {
		for _, line := range crashtest.Kill(t, "publish", dir, 20) {
			var what string
			var number int
			if n, _ := fmt.Sscanf(line, "%s %d.", &what, &number); n == 2 && line[len(line)-1] == '.' { // else torn
				acknowledged[what] = max(acknowledged[what], number)
			}
		}
		store, err := filestore.Open(filepath.Join(dir, "data"))
		require.NoError(t, err)
		kept, err := openFunctions(store, root)
		require.NoError(t, err)
		k := kept.(keptFunctions)
		own := k.book.get("site")
		require.GreaterOrEqual(t, own.LastVersion, acknowledged["version"])
		for n := range own.LastVersion {
			require.Contains(t, k.catalogue.State().Services, versionPrefix(routekey.MustParse("/site"), strconv.Itoa(n+1)), "version and number are one change")
		}
		if acknowledged["alias"] > 0 {
			leads, err := strconv.Atoi(own.Aliases["prod"].Version)
			require.NoError(t, err)
			require.GreaterOrEqual(t, leads, acknowledged["alias"])
			require.LessOrEqual(t, leads, own.LastVersion)
		}
		require.NoError(t, kept.Close())
		require.NoError(t, store.Close())
	}
	require.Positive(t, acknowledged["alias"])
}
