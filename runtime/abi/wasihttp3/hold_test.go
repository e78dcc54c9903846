package wasihttp3

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/httptypes"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// puppet is the ABI for the guest of abitest, whose handler has the name of WASI 0.2.
type puppet struct{ ABI }

func (puppet) Functions(*engine.Info) (init, entries []string) {
	return nil, []string{"wasi:http/incoming-handler@0.2#handle", "cabi_realloc"}
}

func (puppet) Bind(in *engine.Instance, env *abi.Environment) { bind(in, env, 1) }

// run runs act as the guest's code during a request.
func run(t *testing.T, act func(c *call, call func(name string, params ...uint64) uint64)) engine.Outcome {
	t.Helper()
	return runIn(t, &abi.Environment{Log: func(abi.Level, []byte) {}}, act)
}

func runIn(t *testing.T, env *abi.Environment, act func(c *call, call func(name string, params ...uint64) uint64)) engine.Outcome {
	t.Helper()
	b, err := abitest.Open(ABI{}.HostModules()...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	in, err := b.Puppet(puppet{}, env)
	require.NoError(t, err)
	c := in.Exchange.(*call)
	b.Act = func(in *engine.Instance, at abitest.Entry, _, _ uint32) int64 {
		if at == abitest.Allocate {
			return 8192
		}
		act(c, func(name string, params ...uint64) uint64 { return b.Call(in, name, params...) })
		return 0
	}
	c.begin(exchange(""))
	out := in.Call(context.Background(), abitest.Soon(), 0, []uint64{0, 0})
	c.end()
	require.Zero(t, c.fieldBytes)
	return out
}

// The parts of requests count like fields.
func TestTextsOfRequests(t *testing.T) {
	const at, size = 1024, 60 << 10
	target := "/" + strings.Repeat("x", size)
	for name, c := range map[string]struct {
		requests int
		last     uint64 // result of the last change
	}{
		"few":  {4, 0},
		"many": {httptypes.MaxFieldBytes/size + 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var last uint64
			out := run(t, func(state *call, call func(name string, params ...uint64) uint64) {
				copy(state.in.View(at, uint32(len(target))), target)
				for range c.requests {
					r := &request{method: "GET", fields: state.newFields()}
					h := uint64(state.state.Handles.Add(r, 0))
					for range 2 { // the second text replaces the first
						last = call(typesModule+"#[method]request.set-path-with-query", h, 1, at, uint64(len(target)))
					}
				}
			})
			require.Equal(t, engine.OK, out.Kind, "%v", out.Err)
			require.Equal(t, c.last, last)
		})
	}
}

// A trap ends the calls of the guest, also while nothing owns the body of an answer.
func TestTrapEndsCalls(t *testing.T) {
	closed := 0
	out := run(t, func(state *call, call func(name string, params ...uint64) uint64) {
		state.x.Outbound = counted{&closed}
		r := &request{method: "GET", authority: some("h"), fields: state.newFields(), body: body{trailers: state.tasks.Hosted(trailersType(), newSent())}}
		call(clientModule+"#send", uint64(state.state.Handles.Add(r, 0)), 1024)
		answer := uint64(canonical.Uint32(state.in.View(1024+resultPayload, 4), 0))
		require.NotZero(t, answer)
		call(typesModule+"#[static]response.consume-body", answer, 99, 2048)
	})
	require.Equal(t, engine.Trap, out.Kind, "%v", out.Err)
	require.Equal(t, 1, closed)
}

// counted is an abi.Outbound that counts the calls that were closed.
type counted struct{ closed *int }

func (c counted) Open(context.Context, string, string) (abi.OutboundCall, error) {
	return countedCall{&answered{Reader: strings.NewReader("")}, c.closed}, nil
}

type countedCall struct {
	*answered
	closed *int
}

func (c countedCall) Close() error { *c.closed++; return nil }

// A guest gets strings as UTF-8, whatever the client has sent.
func TestTargetThatIsNotUTF8(t *testing.T) {
	out := run(t, func(state *call, call func(name string, params ...uint64) uint64) {
		state.x.URI = "/?\xff"
		call(typesModule+"#[method]request.get-path-with-query", uint64(state.state.Handles.Add(state.request(), 0)), 1024)
		m := state.in.View(1024, 12)
		require.Equal(t, "/?\ufffd", string(state.in.View(canonical.Uint32(m, 4), canonical.Uint32(m, 8))))
	})
	require.Equal(t, engine.OK, out.Kind, "%v", out.Err)
}
