package wasip1

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// systemOnly is an ABI that consists of the system interface alone.
type systemOnly struct{}

func (systemOnly) Traits() abi.Traits               { return abi.Traits{} }
func (systemOnly) HostModules() []engine.HostModule { return []engine.HostModule{HostModule()} }
func (systemOnly) Match(*engine.Info) (bool, error) { return true, nil }
func (systemOnly) Functions(*engine.Info) (init, entries []string) {
	return nil, []string{"handle_request"}
}
func (systemOnly) Bind(in *engine.Instance, env *abi.Environment) {
	s := &State{}
	s.Use(env)
	in.System = s
}

// guest is a guest whose code is defined by the test.
type guest struct {
	t     *testing.T
	bench *abitest.Bench
	in    *engine.Instance
	state *State
}

func newGuest(t *testing.T, mounts ...abi.Mount) *guest {
	t.Helper()
	b, err := abitest.Open(HostModule())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	in, err := b.Puppet(systemOnly{}, &abi.Environment{Mounts: mounts})
	require.NoError(t, err)
	return &guest{t: t, bench: b, in: in, state: in.System.(*State)}
}

// run runs code as the guest.
func (g *guest) run(ctx context.Context, code func()) engine.Outcome {
	g.t.Helper()
	g.bench.Act = func(*engine.Instance, abitest.Entry, uint32, uint32) int64 { code(); return 0 }
	return g.in.Call(ctx, abitest.Soon(), 0, make([]uint64, 1))
}

// do runs code that must succeed.
func (g *guest) do(code func()) {
	g.t.Helper()
	out := g.run(context.Background(), code)
	require.Equal(g.t, engine.OK, out.Kind, "%v", out.Err)
}

// call calls a function of the system interface, from within code.
func (g *guest) call(name string, params ...uint64) errno {
	return errno(g.bench.Call(g.in, name, params...))
}

func (g *guest) put(at uint32, data []byte) { copy(g.in.Memory()[at:], data) }

func (g *guest) bytes(at, length uint32) []byte { return g.in.Memory()[at : at+length] }

func (g *guest) u32(at uint32) uint32 { return binary.LittleEndian.Uint32(g.in.Memory()[at:]) }
func (g *guest) u64(at uint32) uint64 { return binary.LittleEndian.Uint64(g.in.Memory()[at:]) }

// putVectors writes a table of addresses and lengths.
func (g *guest) putVectors(at uint32, vectors ...uint32) {
	for i, v := range vectors {
		binary.LittleEndian.PutUint32(g.in.Memory()[at+4*uint32(i):], v)
	}
}

// Addresses that the tests use.
const (
	table  = 0x100   // vectors, subscriptions, tables of addresses
	result = 0x80    // address of a function's result
	buffer = 0x1000  // data
	size   = 2 << 16 // the puppet's memory
)
