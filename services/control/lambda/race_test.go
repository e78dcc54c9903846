package lambda_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/control/lambda"
	"github.com/vespo-dev/vespo/services/schema"
)

// Changes of one function by this API and by the management API at the same time all last: the one sets code and
// memory, the other the timeout.
func TestChangesOfBothAPIsLast(t *testing.T) {
	const rounds = 15
	a := newAPI(t, managing)
	a.send("POST", functions, program("prog", packed(t, map[string]string{"bootstrap": "#!/bin/sh\n"})), 201)
	var all sync.WaitGroup
	all.Go(func() {
		for i := range rounds {
			a.send("PUT", functions+"/prog/code", map[string]any{"ZipFile": packed(t, map[string]string{"bootstrap": fmt.Sprintf("#!/bin/sh\n# %d\n", i)})}, 200)
		}
	})
	all.Go(func() {
		for i := range rounds {
			a.send("PUT", functions+"/prog/configuration", map[string]any{"MemorySize": 100 + i}, 200)
		}
	})
	all.Go(func() {
		for range rounds {
			_, err := a.Deployer.Change(t.Context(), routekey.MustParse("/prog"), func(current registry.Service) (services.Spec, error) {
				spec := lambda.SpecOf(current)
				later := schema.TimeoutOf(spec.Manifest) + time.Second
				spec.Manifest = schema.With(spec.Manifest, map[string]any{schema.FieldTimeout: schema.Period(later)})
				return spec, nil
			})
			require.NoError(t, err)
		}
	})
	all.Wait()
	e, err := a.Deployer.Inspect(routekey.MustParse("/prog"))
	require.NoError(t, err)
	require.Equal(t, rounds*time.Second, schema.TimeoutOf(e.Service.Current.Manifest))
	d := a.document(routekey.MustParse("/prog"))
	require.Equal(t, 100+rounds-1, d.MemorySize)
	last := packed(t, map[string]string{"bootstrap": fmt.Sprintf("#!/bin/sh\n# %d\n", rounds-1)})
	require.Equal(t, registry.DigestOf(last).Hex(), d.Package)
}

// Of several requests that create a function at the same time, one succeeds.
func TestFunctionIsCreatedOnce(t *testing.T) {
	const callers = 4
	a := newAPI(t, managing)
	var all sync.WaitGroup
	statuses := make(chan int, callers)
	for i := range callers {
		all.Go(func() {
			body := program("once", packed(t, map[string]string{"bootstrap": fmt.Sprintf("#!/bin/sh\n# %d\n", i)}))
			statuses <- a.status("POST", functions, body)
		})
	}
	all.Wait()
	close(statuses)
	counts := map[int]int{}
	for status := range statuses {
		counts[status]++
	}
	require.Equal(t, map[int]int{201: 1, 409: callers - 1}, counts)
	e, err := a.Deployer.Inspect(routekey.MustParse("/once"))
	require.NoError(t, err)
	require.Empty(t, e.Service.History)
	require.Equal(t, "first", a.handler.Record("once").Description)
}

// overtaken is a Catalogue in which the management API deploys right after the first change of the Lambda API.
type overtaken struct {
	*deploy.Deployer
	other func() error
}

func (o *overtaken) Transact(
	ctx context.Context, claimed []routekey.Key, build func(*registry.State) (deploy.Changes, error),
) ([]deploy.Result, error) {
	results, err := o.Deployer.Transact(ctx, claimed, build)
	if other := o.other; err == nil && other != nil {
		o.other = nil
		err = other()
	}
	return results, err
}

// The version that an update publishes has the code of the update, even if the function is changed in between.
func TestPublishedVersionHasItsCode(t *testing.T) {
	o := &overtaken{}
	a := newAPI(t, func(c *lambda.Config) {
		c.Manage = true
		o.Deployer = c.Catalogue.(*deploy.Deployer)
		c.Catalogue = o
	})
	a.send("POST", functions, program("prog", packed(t, map[string]string{"bootstrap": "#!/bin/sh\n"})), 201)
	o.other = func() error {
		_, err := a.Deployer.Rollback(t.Context(), routekey.MustParse("/prog"))
		return err
	}
	archive := packed(t, map[string]string{"bootstrap": "#!/bin/sh\n# new\n"})
	a.send("PUT", functions+"/prog/code", map[string]any{"ZipFile": archive, "Publish": true}, 201)
	require.Equal(t, registry.DigestOf(archive).Hex(), a.document(routekey.MustParse("/prog~1")).Package)
	require.NotEqual(t, registry.DigestOf(archive).Hex(), a.document(routekey.MustParse("/prog")).Package)
}
