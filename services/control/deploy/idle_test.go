package deploy

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
)

const (
	testIdle  = 5 * time.Minute
	testEvict = 30 * time.Minute
)

// idling returns a booted house with the service /a and a running idle loop. stop ends the loop and waits for
// it.
func idling(t *testing.T, policy registry.IdlePolicy) (h *house, stop func()) {
	h = booted(t, t.TempDir(), func(c *Config) { c.Idle = policy })
	h.add(routekey.MustParse("/a"), "one")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		h.RunIdle(ctx)
	}()
	return h, func() {
		cancel()
		<-ended
		h.end()
	}
}

// after sleeps for d and returns the state of /a.
func (h *house) after(d time.Duration) string {
	h.t.Helper()
	time.Sleep(d)
	synctest.Wait()
	entry, err := h.Inspect(routekey.MustParse("/a"))
	require.NoError(h.t, err)
	return entry.Status.State
}

func TestIdleServiceScalesToZeroAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := idling(t, registry.IdlePolicy{Idle: testIdle, EvictCode: testEvict})
		defer stop()
		require.Equal(t, services.StateReady, h.after(testIdle-1))
		require.Equal(t, services.StateIdle, h.after(1))
		require.Equal(t, services.StateIdle, h.after(testEvict-testIdle-1))
		require.Equal(t, services.StateEvicted, h.after(1))
		require.Equal(t, services.StateEvicted, h.after(24*time.Hour))
		require.Equal(t, []services.Scale{services.ScaleToZero, services.EvictCode}, h.kind.scaled, "each once")

		h.requireServed("/a", "one")
		require.Equal(t, services.StateReady, h.after(testIdle-1))
		require.Equal(t, services.StateIdle, h.after(testIdle/idleRounds), "noticed late by a round at most")
	})
}

func TestUsePutsScalingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := idling(t, registry.IdlePolicy{Idle: testIdle})
		defer stop()
		for range 10 {
			require.Equal(t, services.StateReady, h.after(testIdle-time.Second))
			h.requireServed("/a", "one")
		}
		require.Equal(t, services.StateReady, h.after(testIdle-1))
		require.Equal(t, services.StateIdle, h.after(idleRoundGap))
	})
}

func TestRequestInFlightPutsScalingOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := idling(t, registry.IdlePolicy{Idle: testIdle, EvictCode: testEvict})
		defer stop()
		answer := h.pause("/a")
		require.Equal(t, services.StateReady, h.after(24*time.Hour))
		close(h.kind.hold)
		require.Equal(t, "one", <-answer)
		require.Equal(t, services.StateReady, h.after(testIdle-1))
		require.Equal(t, services.StateIdle, h.after(testIdle/idleRounds))
	})
}

func TestFailedScalingIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := idling(t, registry.IdlePolicy{Idle: testIdle})
		defer stop()
		h.kind.failAt("scale", func(context.Context) error { panic("injected") })
		require.Equal(t, services.StateReady, h.after(testIdle))
		h.kind.failAt("scale", func(context.Context) error { return errInjected })
		require.Equal(t, services.StateReady, h.after(testIdle))
		h.kind.failAt("", nil)
		require.Equal(t, services.StateIdle, h.after(testIdle))
	})
}

func TestNewServicesAreSeenByTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := idling(t, registry.IdlePolicy{Idle: testIdle})
		defer stop()
		require.Equal(t, services.StateIdle, h.after(testIdle))
		h.after(time.Minute)
		h.add(routekey.MustParse("/a"), "two")
		require.Equal(t, services.StateReady, h.after(testIdle-1))
		require.Equal(t, services.StateIdle, h.after(testIdle/idleRounds))
	})
}

func TestNothingIsScaledThatWasRetired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stop := idling(t, registry.IdlePolicy{Idle: testIdle})
		defer stop()
		old := h.liveAt(routekey.MustParse("/a"))
		h.add(routekey.MustParse("/a"), "two")
		synctest.Wait()
		h.scale(context.Background(), old, services.EvictCode)
		require.Empty(t, h.kind.scaled)
	})
}

func TestIdleLoopEndsWithoutPolicyAndWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := booted(t, t.TempDir(), nil)
		h.RunIdle(context.Background())
		h.end()
		h, stop := idling(t, registry.IdlePolicy{EvictCode: testEvict})
		h.end()
		stop()
	})
}
