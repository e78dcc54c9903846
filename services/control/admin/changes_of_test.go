package admin

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/servicetest/allkinds"
)

// New code of a function is a change, although no request can give its field.
func TestChangesOfInternalFieldsAreReported(t *testing.T) {
	result := deploy.Result{
		Before:  registry.Version{Kind: "function", Manifest: `{"config":{"A":"secret"},"package":"one"}`},
		Service: registry.Service{Current: registry.Version{Kind: "function", Manifest: `{"config":{"A":"secret"},"handler":"h","package":"two"}`}},
	}
	changes, kept := changesOf(allkinds.Describe(), result)
	require.Equal(t, []string{"package: one -> two", "handler: default -> h"}, changes)
	require.Equal(t, []string{"config: A"}, kept)
}
