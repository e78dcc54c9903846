package lambda

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/durable/crashtest"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/registry/filestore"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/internal/arn"
	"github.com/vespo-dev/vespo/services/kinds/static"
)

// keptFunctions is a server of the Lambda API, for the crash suite.
type keptFunctions struct {
	*Handler
	catalogue *registry.Registry
	deployer  *deploy.Deployer
}

func openFunctions(store *filestore.Store, root *os.Root) (crashtest.Kept, error) {
	ctx := context.Background()
	catalogue, problems, err := registry.Open(ctx, store, store.Blobs())
	if err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, errors.New(problems[0].String())
	}
	routing := router.New(router.Config{})
	deployer := deploy.New(deploy.Config{
		Registry: catalogue,
		Router:   routing,
		Gate:     admission.NewGate(1),
		Kinds:    []services.Kind{static.New(static.Config{Root: root})},
	})
	if err := deployer.Boot(ctx); err != nil {
		return nil, err
	}
	return keptFunctions{
		Handler:   New(Config{Catalogue: deployer, Dispatcher: routing}),
		catalogue: catalogue,
		deployer:  deployer,
	}, nil
}

// Step makes the changes of a function's life. The static service stands for any code.
func (k keptFunctions) Step(n int) error {
	const name = "site"
	key := routekey.MustParse("/site")
	ctx := context.Background()
	three := 3
	to := func(version, revision string, weights map[string]float64) func(*alias) (*alias, error) {
		return func(*alias) (*alias, error) {
			return &alias{Version: version, Revision: revision, Weights: weights}, nil
		}
	}
	var err error
	switch n {
	case 0, 3:
		_, err = k.deploy(ctx, deployment{
			name:    name,
			key:     key,
			publish: n == 3,
			note:    func(own *record) { own.Description = []string{"first", "", "", "second"}[n] },
			build: func(registry.Service) (services.Spec, error) {
				doc := static.Document{Directory: "www", Fallback: []string{"", "", "", "index.html"}[n]}
				return services.Spec{Key: key, Kind: static.KindName, Manifest: doc.Encode()}, nil
			},
		})
	case 1:
		_, err = k.publish(ctx, name, key, func(registry.Service) error { return nil })
	case 2:
		_, err = k.changeAlias(ctx, name, "prod", key, to("1", "a", nil))
	case 4:
		_, err = k.changeAlias(ctx, name, "prod", key, to("2", "b", map[string]float64{"1": 0.25}))
	case 5:
		err = k.edit(ctx, name, []routekey.Key{key}, func(own *record) error { own.Concurrency = &three; return nil })
	case 6:
		_, err = k.changeAlias(ctx, name, "prod", key, to("2", "c", nil))
	case 7:
		err = k.deleteVersion(ctx, arn.Reference{Name: name, Qualifier: "1"}, deploy.Entry{Service: registry.Service{Key: key}})
	case 8:
		err = k.deleteAll(ctx, name, deploy.Entry{Service: registry.Service{Key: key}})
	}
	return err
}

// State returns the catalogue without times.
func (k keptFunctions) State() any {
	timeless := func(v registry.Version) registry.Version {
		v.Deployed = time.Time{}
		return v
	}
	found := *k.catalogue.State()
	all := make(map[routekey.Key]registry.Service)
	for key, service := range found.Services {
		service.Current = timeless(service.Current)
		var history []registry.Version
		for _, v := range service.History {
			history = append(history, timeless(v))
		}
		service.History = history
		all[key] = service
	}
	found.Services = all
	return found
}

func (k keptFunctions) Close() error { return k.deployer.Close(context.Background()) }

// site returns a root with the files of the static service.
func site(t testing.TB, dir string) *os.Root {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "www"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "www", "index.html"), nil, 0o600))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	return root
}

// TestCrash checks that a change of services and records happens wholly or not at all, at every crash and fault, and
// that an error means that nothing was changed.
func TestCrash(t *testing.T) {
	root := site(t, t.TempDir())
	crashtest.Run(t, crashtest.Subject{
		Open: func(fsys durable.FS) (crashtest.Kept, error) {
			store, err := filestore.OpenFS(fsys, "memory")
			if err != nil {
				return nil, err
			}
			return openFunctions(store, root)
		},
		Steps:     9,
		Uncertain: func(err error) bool { return errors.Is(err, registry.ErrUncertain) },
	})
}

// TestRecordsOfMissingFunctions checks that no record is made for a function that another caller has removed.
func TestRecordsOfMissingFunctions(t *testing.T) {
	store, err := filestore.Open(t.TempDir())
	require.NoError(t, err)
	kept, err := openFunctions(store, site(t, t.TempDir()))
	require.NoError(t, err)
	k := kept.(keptFunctions)
	err = k.edit(t.Context(), "none", []routekey.Key{routekey.MustParse("/none")}, func(own *record) error {
		own.Description = "x"
		return nil
	})
	require.Equal(t, http.StatusNotFound, failureOf(err).status)
	_, err = k.changeAlias(t.Context(), "none", "prod", routekey.MustParse("/none"), func(*alias) (*alias, error) {
		return &alias{Version: arn.Latest}, nil
	})
	require.Equal(t, http.StatusNotFound, failureOf(err).status)
	require.Empty(t, k.catalogue.State().Records)
	require.NoError(t, kept.Close())
	require.NoError(t, store.Close())
}
