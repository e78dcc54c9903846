package deploy

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/problem"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services"
)

// holding returns hosts of which this one holds services for the label "here", as another one does.
func holding() *fewHosts {
	all := &fewHosts{}
	all.label.Store("here")
	return all
}

// TestHoldersThatCannotServePassRequestsOn starts with a service that cannot be prepared, adopts a version of it that cannot be
// prepared either, and then one that can.
func TestHoldersThatCannotServePassRequestsOn(t *testing.T) {
	dir, a := t.TempDir(), routekey.MustParse("/a")
	first := booted(t, dir, func(c *Config) { c.Hosts = holding() })
	_, err := first.Add(t.Context(), on(a, "one", "here"))
	require.NoError(t, err)
	first.end()

	all := holding()
	h := unbooted(t, dir, func(c *Config) { c.Hosts = all })
	h.kind.failAt("prepare", func(context.Context) error { return errInjected })
	require.NoError(t, h.Boot(t.Context()))
	require.Equal(t, "there", h.told("/a"))
	require.True(t, h.Unable(a), "other hosts do not ask it")
	require.Equal(t, services.StateFailed, h.state(a))
	require.Equal(t, 1, h.Stats().Unavailable)
	all.alone.Store(true)
	status, body := h.get("/a")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, problem.NotReady.Type())

	all.alone.Store(false)
	state := h.cfg.Registry.State()
	adopted, err := h.Adopt(t.Context(), Adoption{State: state, Retry: true})
	require.NoError(t, err)
	require.Equal(t, []routekey.Key{a}, adopted.Unavailable)
	require.Equal(t, "there", h.told("/a"))
	h.kind.failAt("prepare", nil)
	_, err = h.Adopt(t.Context(), Adoption{State: state, Retry: true})
	require.NoError(t, err)
	require.Equal(t, "one", h.told("/a"))
	require.False(t, h.Unable(a))
}

// TestServicesWithoutPlacementAreNotPassedOn lets a service fail that all hosts serve.
func TestServicesWithoutPlacementAreNotPassedOn(t *testing.T) {
	all := holding()
	h := unbooted(t, stocked(t), func(c *Config) { c.Hosts = all })
	h.kind.failAt("prepare", func(context.Context) error { return errInjected })
	require.NoError(t, h.Boot(t.Context()))
	status, _ := h.get("/a")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Zero(t, all.passed.Load())
}

// TestHoldersThatStartPassRequestsOn asks for a service while it is prepared. A request that no other host serves waits for it.
func TestHoldersThatStartPassRequestsOn(t *testing.T) {
	dir, a := t.TempDir(), routekey.MustParse("/a")
	first := booted(t, dir, func(c *Config) { c.Hosts = holding() })
	limited := on(a, "one", "here")
	limited.Manifest = `{"on":["here"],"rate":"100/s"}`
	_, err := first.Add(t.Context(), limited)
	require.NoError(t, err)
	first.end()
	synctest.Test(t, func(t *testing.T) {
		all := holding()
		var k *slowKind
		h := unbooted(t, dir, func(c *Config) { c.Hosts, k = all, slow(c) })
		defer h.end()
		require.NoError(t, h.Load(t.Context()))
		started := make(chan error, 1)
		go func() { started <- h.Start(t.Context()) }()
		synctest.Wait()
		require.Equal(t, services.StateStarting, h.state(a))
		require.Equal(t, "there", h.told("/a"))
		all.alone.Store(true)
		waiting := h.ask("/a")
		k.open("one")
		require.Equal(t, "one", (<-waiting).Body.String())
		require.NoError(t, <-started)
		require.Equal(t, "one", h.told("/a"))
		require.EqualValues(t, 1, all.passed.Load())
		synctest.Wait()
		require.Len(t, h.limiters, 1, "that of other hosts is dropped")
	})
}
