package wasm

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestScaleToZeroAndBack(t *testing.T) {
	s := newServer(t, Config{})
	d := s.add("/hello", guests.Wat(t, "hello"), registry.Options{})
	require.Equal(t, services.StateReady, d.Status().State)
	require.True(t, d.Status().LastUsed.IsZero())
	require.Equal(t, 200, s.get("/hello").StatusCode)
	require.False(t, d.Status().LastUsed.IsZero())
	free := s.kind.Stats().FreeSlots

	require.NoError(t, d.Scale(context.Background(), services.ScaleToZero))
	require.Equal(t, services.StateIdle, d.Status().State)
	require.Equal(t, free+1, s.kind.Stats().FreeSlots, "the slot is free")
	require.Equal(t, 200, s.get("/hello").StatusCode)
	require.EqualValues(t, "restored", s.lastRecord(2).Start)

	require.NoError(t, d.Scale(context.Background(), services.EvictCode))
	require.Equal(t, services.StateEvicted, d.Status().State)
	require.Zero(t, s.kind.Stats().Modules)
	require.Equal(t, 200, s.get("/hello").StatusCode)
	require.EqualValues(t, "cold", s.lastRecord(3).Start)
	require.Equal(t, services.StateReady, d.Status().State)
}

func TestScalingUnderLoadLosesNothing(t *testing.T) {
	s := newServer(t, Config{Slots: 4})
	d := s.add("/hello", guests.Wat(t, "hello"), registry.Options{})
	var stop atomic.Bool
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				if a := s.get("/hello"); a.StatusCode != 200 {
					t.Errorf("%d %s", a.StatusCode, a.body)
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
	s := newServer(t, Config{})
	d := s.add("/a", guests.Wat(t, "secrettable"), registry.Options{})
	require.Equal(t, IsolationFresh, d.Status().Isolation)
	require.Contains(t, d.Status().FreshReason, "table")
	require.Equal(t, services.StateReady, d.Status().State)
	d = s.add("/b", guests.Wat(t, "hello"), registry.Options{Isolation: IsolationFresh})
	require.Equal(t, IsolationFresh, d.Status().Isolation)
	require.Empty(t, d.Status().FreshReason, "it was asked for")
}

func TestModulesThatCannotBeServed(t *testing.T) {
	s := newServer(t, Config{InitTimeout: 100 * time.Millisecond})
	hello := guests.Wat(t, "hello")
	component := append([]byte("\x00asm\x0d\x00\x01\x00"), hello[8:]...)
	for name, c := range map[string]struct {
		module  []byte
		options registry.Options
		want    string
	}{
		"empty":            {nil, registry.Options{}, "not a WebAssembly module"},
		"text":             {[]byte("<html>"), registry.Options{}, "not a WebAssembly module"},
		"truncated":        {hello[:len(hello)/2], registry.Options{}, "offset"},
		"component":        {component, registry.Options{}, "component"},
		"memory":           {guests.Go(t, "gohello"), registry.Options{MemoryBytes: 1 << 20}, "the budget is 1 MiB"},
		"too much memory":  {hello, registry.Options{MemoryBytes: 1 << 40}, "at most"},
		"too little":       {hello, registry.Options{MemoryBytes: 1}, "at least one page"},
		"negative timeout": {hello, registry.Options{Timeout: -1}, "timeout"},
		"isolation":        {hello, registry.Options{Isolation: "none"}, `"snapshot" or "fresh"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.prepare("/x", c.module, c.options)
			require.ErrorContains(t, err, c.want)
			require.False(t, strings.Contains(err.Error(), "goroutine"))
		})
	}
	stats := s.kind.Stats()
	require.Equal(t, stats.Slots, stats.FreeSlots)
	require.Zero(t, stats.Modules)
}
