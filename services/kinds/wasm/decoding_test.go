package wasm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func TestDeploysDecodeAModuleOnce(t *testing.T) {
	s := newServer(t, wasm.Config{})
	decodings := int64(0)
	decoded := func(modules int64, why string) {
		t.Helper()
		stats := s.kind.Stats()
		require.Equal(t, modules, stats.Decodings-decodings, why)
		require.Zero(t, stats.DecodedBytes, why)
		decodings = stats.Decodings
	}
	d := s.add("/service", guests.Go(t, "gohello"))
	decoded(1, "a service")
	evict(t, d)
	require.Equal(t, 200, s.get("/service").StatusCode)
	decoded(0, "evicted code is loaded again")
	s.add("/again", guests.Go(t, "gohello"))
	decoded(0, "a service whose code is there")
	s.add("/behind", guests.Wat(t, "hello"), servicetest.WithMiddleware(nil, guests.Wat(t, "preset")))
	decoded(2, "a service and its middleware")
	s.prepareFunction("gofunction")
	decoded(1, "a function")
	s.refused("/refused", guests.Wat(t, "hello"), servicetest.WithMemory(1))
	require.NotZero(t, s.kind.Stats().DecodedBytes, "kept for a moment, as the deploy may be tried again")
}
