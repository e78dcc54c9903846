package deploy

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/router/admission"
	"github.com/vespo-dev/vespo/services"
)

// A service without a guest that a change has claimed when its turn comes is started after the change has failed, even
// if all other services have started by then.
func TestServiceWithoutGuestIsStartedAfterAFailedChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, k, started := starting(t, func(c *Config) {
			c.Admission = map[string]Admission{"text": {Gate: admission.NewGate(8), Limits: admission.Limits{Concurrency: 8, Queue: 8}}}
		})
		defer h.end()
		require.Equal(t, []string{"one"}, k.order(), "in order")
		deployed := make(chan error, 1)
		go func() {
			_, err := h.Add(context.Background(), spec(routekey.MustParse("/b"), "new"))
			deployed <- err
		}()
		synctest.Wait()
		k.open("one", "three") // /b is claimed
		require.Equal(t, services.StateStarting, h.state(routekey.MustParse("/b")))
		h.kind.failAt("prepare", func(context.Context) error { return errInjected })
		k.open("new")
		require.ErrorIs(t, <-deployed, errInjected)
		h.kind.failAt("", nil)
		k.open("two")
		require.NoError(t, <-started)
		require.True(t, h.Ready())
		require.Equal(t, services.StateReady, h.state(routekey.MustParse("/b")))
		h.requireServed("/b", "two")
	})
}
