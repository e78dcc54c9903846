package abi_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
	"github.com/vespo-dev/vespo/testdata/guests"
)

// TestAnABIBringsAllThatItsGuestsNeed runs a guest of each ABI with nothing but the ABI.
func TestAnABIBringsAllThatItsGuestsNeed(t *testing.T) {
	of := map[string]struct{ guest, input, want string }{
		"http-wasm": {"hello", "", "hello from vespo\n"},
		"cgi":       {"cat", "Content-Type: text/plain\n\necho", "echo"},
		"wasi-http": {"p2echo", "echo", "echo"},
		"command":   {"cat", "echo", "echo"},
	}
	for _, a := range all() {
		name := a.Traits().Name
		t.Run(name, func(t *testing.T) {
			in := instance(t, a, guests.Wat(t, of[name].guest))
			i := abi.Invocation{Prefix: "/a", Context: t.Context(), Deadline: abitest.Soon(), Log: func(abi.Level, []byte) {}}
			body, response := strings.NewReader(of[name].input), &abitest.Response{}
			var out engine.Outcome
			switch a := a.(type) {
			case abi.Server:
				out = a.Serve(in, &abi.Exchange{
					Invocation:    i,
					Method:        "POST",
					URI:           "/a",
					Header:        abi.Header{},
					Body:          abi.Arrived(body),
					ContentLength: body.Size(),
					Response:      response,
				})
			case abi.Runner:
				out = a.Run(in, &abi.Event{Invocation: i, Payload: body, Output: &response.Body})
			default:
				require.Fail(t, "its guests can neither serve requests nor run events")
			}
			require.Equal(t, engine.OK, out.Kind, "%v", out.Err)
			require.Equal(t, of[name].want, response.Body.String())
		})
	}
}

// instance returns an instance of a guest in an engine with the host modules of one ABI.
func instance(t *testing.T, a abi.ABI, bin []byte) *engine.Instance {
	ctx := context.Background()
	e, err := engine.Open(ctx, engine.Config{Slots: 1, HostModules: a.HostModules()})
	require.NoError(t, err)
	module, err := e.Decode(bin)
	require.NoError(t, err)
	init, entries := a.Functions(module.Info())
	m, err := e.Compile(ctx, module, engine.ModuleOptions{
		Init:    init,
		Entries: entries,
		Bind: func(in *engine.Instance) {
			a.Bind(in, &abi.Environment{Log: func(abi.Level, []byte) {}})
		},
	})
	require.NoError(t, err)
	slot, ok := e.AcquireSlot()
	require.True(t, ok)
	in, err := m.Prepare(ctx, slot)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, in.Close())
		require.NoError(t, m.Close(ctx))
		require.NoError(t, e.Close(ctx))
	})
	return in
}
