package lambda_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/lambda"
	"github.com/vespo-dev/vespo/services/schedule"
	"github.com/vespo-dev/vespo/services/schema"
)

var script = map[string]string{"bootstrap": "#!/bin/sh\n"}

// TestVersionsAreNumberedOnce publishes from several callers. Every answer has a number of its own, without gaps.
func TestVersionsAreNumberedOnce(t *testing.T) {
	const callers, rounds = 4, 4
	a := newAPI(t, managing)
	a.send("POST", functions, program("prog", packed(t, script)), 201)
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range rounds {
				a.send("POST", functions+"/prog/versions", map[string]any{}, 201)
			}
		})
	}
	all.Wait()
	require.Equal(t, callers*rounds, a.handler.Record("prog").LastVersion)
	for n := range callers * rounds {
		_, err := a.Deployer.Inspect(lambda.VersionPrefix(routekey.MustParse("/prog"), strconv.Itoa(n+1)))
		require.NoError(t, err)
	}
}

// TestCodeAndVersionAreOneChange creates and updates functions with Publish, with failures of the store.
func TestCodeAndVersionAreOneChange(t *testing.T) {
	a := newAPI(t, managing)
	create := map[string]any{"FunctionName": "prog", "Code": map[string]any{"ZipFile": packed(t, script)}, "Publish": true}
	disk := fmt.Errorf("no space")
	a.store.fail.Store(&disk)
	before := a.Registry.State()
	a.send("POST", functions, create, 500)
	require.Same(t, before, a.Registry.State())
	require.Contains(t, a.send("POST", functions, create, 201), `"Version":"1"`)
	require.Equal(t, 1, a.handler.Record("prog").LastVersion)

	update := map[string]any{"ZipFile": packed(t, map[string]string{"bootstrap": "#!/bin/sh\n#2\n"}), "Publish": true}
	a.store.fail.Store(&disk)
	before = a.Registry.State()
	a.send("PUT", functions+"/prog/code", update, 500)
	require.Same(t, before, a.Registry.State(), "neither code nor version")
	require.Contains(t, a.send("PUT", functions+"/prog/code", update, 201), `"Version":"2"`)
	require.Equal(t, a.document(routekey.MustParse("/prog")).Package, a.document(routekey.MustParse("/prog~2")).Package)
	require.NotEqual(t, a.document(routekey.MustParse("/prog")).Package, a.document(routekey.MustParse("/prog~1")).Package)
}

// TestAliasesLeadToVersions points an alias at versions that another caller deletes. In any order, an alias never
// leads to a version that does not exist.
func TestAliasesLeadToVersions(t *testing.T) {
	const versions = 12
	a := newAPI(t, managing)
	a.send("POST", functions, program("prog", packed(t, script)), 201)
	a.send("POST", functions+"/prog/aliases", map[string]any{"Name": "prod", "FunctionVersion": "$LATEST"}, 201)
	for range versions {
		a.send("POST", functions+"/prog/versions", map[string]any{}, 201)
	}
	var all sync.WaitGroup
	for n := range versions {
		number := strconv.Itoa(n + 1)
		all.Go(func() {
			status := a.status("PUT", functions+"/prog/aliases/prod", map[string]any{"FunctionVersion": number})
			if status != http.StatusOK && status != http.StatusNotFound {
				t.Errorf("update: %d", status)
			}
		})
		all.Go(func() {
			status := a.status("DELETE", functions+"/prog?Qualifier="+number, nil)
			if status != http.StatusNoContent && status != http.StatusConflict {
				t.Errorf("delete: %d", status)
			}
		})
	}
	all.Wait()
	leads := a.handler.Record("prog").Aliases["prod"].Version
	if leads != "$LATEST" {
		_, err := a.Deployer.Inspect(lambda.VersionPrefix(routekey.MustParse("/prog"), leads))
		require.NoError(t, err, leads)
	}
	a.send("DELETE", functions+"/prog", nil, 204)
	require.Empty(t, a.Registry.State().Records)
	for key := range a.Registry.State().Services {
		base, _, version := lambda.VersionOf(key)
		require.False(t, version && base == routekey.MustParse("/prog"), key)
	}
}

// TestVersionsHaveNoSchedules checks that a function with schedules runs them once, and not for each of its versions.
func TestVersionsHaveNoSchedules(t *testing.T) {
	a := newAPI(t, managing)
	a.send("POST", functions, program("prog", packed(t, script)), 201)
	key := routekey.MustParse("/prog")
	before := a.send("GET", functions+"/prog", nil, 200)
	_, err := a.Deployer.Change(t.Context(), key, func(current registry.Service) (services.Spec, error) {
		spec := services.Spec{Key: key, Kind: current.Current.Kind, Blobs: services.StoredBlobs(current.Current)}
		spec.Manifest = schema.With(current.Current.Manifest, map[string]any{schema.FieldCron: []string{"@daily"}, schema.FieldCronGrace: "5m0s"})
		return spec, nil
	})
	require.NoError(t, err)
	a.send("POST", functions+"/prog/versions", map[string]any{}, 201)
	count := func(key string) int {
		entry, err := a.Deployer.Inspect(routekey.MustParse(key))
		require.NoError(t, err)
		return schedule.Count(entry.Service.Current.Manifest)
	}
	require.Equal(t, 1, count("/prog"))
	require.Zero(t, count("/prog~1"))
	hash := regexp.MustCompile(`"CodeSha256":"[^"]*"`)
	require.Equal(t, hash.FindString(before), hash.FindString(a.send("GET", functions+"/prog", nil, 200)))
	a.send("PUT", functions+"/prog/code", map[string]any{"ZipFile": packed(t, map[string]string{"bootstrap": "#!/bin/sh\n#2\n"})}, 200)
	require.Equal(t, 1, count("/prog"), "new code keeps them")
}
