package wasm_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestPreparationsTakeNoSlotOfRequests checks that requests are served while as many modules as
// Config.Preparing allows are in their initialisation, even if failed instances are replaced as well.
func TestPreparationsTakeNoSlotOfRequests(t *testing.T) {
	const preparing = 3
	s := newServer(t, wasm.Config{Slots: 1, Preparing: preparing, InitTimeout: time.Minute})
	s.add("/hello", guests.Wat(t, "hello"))
	s.add("/spin", guests.Wat(t, "spin"))
	var deploys sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer deploys.Wait()
	defer cancel()
	before := s.kind.Stats().Modules
	for range preparing {
		deploys.Go(func() {
			_, err := s.kind.Prepare(ctx, module("/stuck", guests.Wat(t, "stuck")))
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
	}
	stuck := func() bool {
		e := s.kind.Stats()
		return e.Modules == before+preparing && e.Slots-e.FreeSlots >= preparing
	}
	require.Eventually(t, stuck, time.Minute, time.Millisecond)
	for range 50 {
		require.Equal(t, 500, s.get("/spin/trap").StatusCode)
		a := s.get("/hello")
		require.Equal(t, 200, a.StatusCode, a.Body)
	}
}
