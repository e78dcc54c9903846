package wasm_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestScaleToZeroAndBack(t *testing.T) {
	s := newServer(t, wasm.Config{})
	d := s.add("/hello", guests.Wat(t, "hello"))
	require.Equal(t, services.StateReady, d.Status().State)
	require.True(t, d.Status().LastUsed.IsZero())
	require.Equal(t, 200, s.get("/hello").StatusCode)
	require.False(t, d.Status().LastUsed.IsZero())
	free := s.kind.Stats().FreeSlots

	require.NoError(t, d.Scale(context.Background(), services.ScaleToZero))
	require.Equal(t, services.StateIdle, d.Status().State)
	require.Equal(t, free+1, s.kind.Stats().FreeSlots, "the slot is free")
	require.Equal(t, 200, s.get("/hello").StatusCode)
	require.EqualValues(t, "restored", s.Records.Nth(2).Start)

	require.NoError(t, d.Scale(context.Background(), services.EvictCode))
	require.Equal(t, services.StateEvicted, d.Status().State)
	require.Zero(t, s.kind.Stats().Modules)
	require.Equal(t, 200, s.get("/hello").StatusCode)
	require.EqualValues(t, "cold", s.Records.Nth(3).Start)
	require.Equal(t, services.StateReady, d.Status().State)
}

func TestScalingUnderLoadLosesNothing(t *testing.T) {
	s := newServer(t, wasm.Config{Slots: 4})
	d := s.add("/hello", guests.Wat(t, "hello"))
	var stop atomic.Bool
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				if a := s.get("/hello"); a.StatusCode != 200 {
					t.Errorf("%d %s", a.StatusCode, a.Body)
					return
				}
			}
		})
	}
	for i := range 100 {
		to := services.ScaleToZero
		if i%2 == 0 {
			to = services.EvictCode
		}
		require.NoError(t, d.Scale(context.Background(), to))
	}
	stop.Store(true)
	clients.Wait()
}

func TestFreshIsSaidWithItsReason(t *testing.T) {
	s := newServer(t, wasm.Config{})
	d := s.add("/a", guests.Wat(t, "secrettable"))
	require.Equal(t, wasm.IsolationFresh, d.Status().Isolation)
	require.Contains(t, d.Status().FreshReason, "table")
	require.Equal(t, services.StateReady, d.Status().State)
	d = s.add("/b", guests.Wat(t, "hello"), servicetest.WithIsolation(wasm.IsolationFresh))
	require.Equal(t, wasm.IsolationFresh, d.Status().Isolation)
	require.Empty(t, d.Status().FreshReason, "it was asked for")
}

func TestModulesThatCannotBeServed(t *testing.T) {
	s := newServer(t, wasm.Config{InitTimeout: 100 * time.Millisecond})
	hello := guests.Wat(t, "hello")
	component := append([]byte("\x00asm\x0d\x00\x01\x00"), hello[8:]...)
	with := func(options ...servicetest.Option) []servicetest.Option { return options }
	for name, c := range map[string]struct {
		module  []byte
		want    string
		options []servicetest.Option
	}{
		"empty":            {nil, "not a WebAssembly module", nil},
		"text":             {[]byte("<html>"), "not a WebAssembly module", nil},
		"truncated":        {hello[:len(hello)/2], "offset", nil},
		"component":        {component, "component", nil},
		"memory":           {guests.Go(t, "gohello"), "memory is 1MiB, and the module declares a minimum of", with(servicetest.WithMemory(1 << 20))},
		"too much memory":  {hello, "at most", with(servicetest.WithMemory(1 << 40))},
		"too little":       {hello, "at least one page", with(servicetest.WithMemory(1))},
		"negative timeout": {hello, "timeout", with(servicetest.WithTimeout(-1))},
		"isolation":        {hello, `"snapshot" or "fresh"`, with(servicetest.WithIsolation("none"))},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.refused("/x", c.module, c.options...)
			require.ErrorContains(t, err, c.want)
			require.False(t, strings.Contains(err.Error(), "goroutine"))
		})
	}
	stats := s.kind.Stats()
	require.Equal(t, stats.Slots, stats.FreeSlots)
	require.Zero(t, stats.Modules)
}
