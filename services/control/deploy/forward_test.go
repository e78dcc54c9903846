package deploy

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/services"
)

// Unloaded implements services.Loader.
func (d *textDeployment) Unloaded() bool { return true }

// TimeLimit implements services.Loader.
func (d *textDeployment) TimeLimit() time.Duration { return time.Minute }

// TestForwardedVersions has a host decline requests for a version with the same module and other settings.
func TestForwardedVersions(t *testing.T) {
	key, version := routekey.MustParse("/a"), ""
	open := func() *house {
		return booted(t, t.TempDir(), func(c *Config) {
			c.Forward = func(_ registry.Service, v string, next router.Handler, _ services.Loader) router.Handler {
				version = v
				return next
			}
		})
	}
	first, home := open(), open()
	deploy := func(h *house, manifest string) {
		s := spec(key, "text")
		s.Manifest = registry.Manifest(manifest)
		_, err := h.Add(t.Context(), s)
		require.NoError(t, err)
	}
	serves := func() bool {
		return home.router.ServePassed(router.Passed{Key: key, Version: version}, httptest.NewRecorder(), httptest.NewRequest("GET", "/a", nil))
	}
	deploy(first, `{"env":{"SECRET":"1"}}`)
	require.False(t, serves())
	deploy(home, `{"env":{"SECRET":"1"}}`)
	require.True(t, serves())
	deploy(first, `{"env":{"SECRET":"2"}}`)
	require.False(t, serves(), "it has the version before")
	deploy(home, `{"env":{"SECRET":"2"}}`)
	require.True(t, serves())
}
