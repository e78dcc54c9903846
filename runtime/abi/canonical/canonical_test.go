package canonical

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// component is an ABI with nothing but the canonical ABI.
type component struct{ abi.ABI }

func (component) Functions(*engine.Info) (init, entries []string) {
	return nil, []string{"handle_request", Allocator}
}

func (component) Bind(in *engine.Instance, _ *abi.Environment) { Bind(in, 1) }

// guest is a puppet whose allocator is a function of the test.
type guest struct {
	t     *testing.T
	bench *abitest.Bench
	in    *engine.Instance
	alloc func(align, size uint32) uint32
}

func newGuest(t *testing.T) *guest {
	b, err := abitest.Open()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	g := &guest{t: t, bench: b}
	g.in, err = b.Puppet(component{}, &abi.Environment{})
	require.NoError(t, err)
	next := uint32(1000)
	g.alloc = func(align, size uint32) uint32 {
		next = (next + align - 1) &^ (align - 1)
		next += size
		return next - size
	}
	return g
}

// run runs code as a host function of the guest.
func (g *guest) run(code func(s *State)) engine.Outcome {
	g.t.Helper()
	g.bench.Act = func(in *engine.Instance, at abitest.Entry, a, b uint32) int64 {
		if at == abitest.Allocate {
			return int64(g.alloc(a, b))
		}
		code(Of(in))
		return 0
	}
	return g.in.Call(context.Background(), abitest.Soon(), 0, make([]uint64, 1))
}

func (g *guest) ok(code func(s *State)) {
	g.t.Helper()
	out := g.run(code)
	require.Equal(g.t, engine.OK, out.Kind, "%v", out.Err)
}

func (g *guest) traps(code func(s *State)) {
	g.t.Helper()
	out := g.run(code)
	require.Equal(g.t, engine.Trap, out.Kind, "%v", out.Err)
}

func TestLower(t *testing.T) {
	g := newGuest(t)
	g.ok(func(s *State) {
		m := s.Area(64, 32, 8)
		read := func(m []byte, at int) string {
			return string(s.Bytes(uint64(Uint32(m, at)), uint64(Uint32(m, at+4))))
		}
		s.PutString(m, 0, "héllo")
		s.PutString(m, 8, "")
		require.Equal(t, "héllo", read(m, 0))
		require.Equal(t, "", read(m, 8))
		require.NotZero(t, Uint32(m, 8), "an empty string has an address too")
		s.PutBytes(m, 8, []byte{0xff, 0})
		require.Equal(t, "\xff\x00", read(m, 8))

		s.PutStrings(m, 16, []string{"a", "bc"})
		list := s.List(uint64(Uint32(m, 16)), uint64(Uint32(m, 20)), 8, 4)
		require.Equal(t, "a", read(list, 0))
		require.Equal(t, "bc", read(list, 8))
		s.PutPairs(m, 16, [][2]string{{"n", "v"}, {"N", "V"}})
		list = s.List(uint64(Uint32(m, 16)), uint64(Uint32(m, 20)), 16, 4)
		require.Equal(t, "nvNV", read(list, 0)+read(list, 8)+read(list, 16)+read(list, 24))
		s.PutPairs(m, 16, nil)
		require.Zero(t, Uint32(m, 20))

		PutUint64(m, 24, 1<<40|7)
		PutUint16(m, 24, 9)
		require.EqualValues(t, 9, Uint32(m, 24))
	})
}

func TestTheAllocatorIsNotTrusted(t *testing.T) {
	const memory = 2 * engine.PageBytes
	for name, alloc := range map[string]func(align, size uint32) uint32{
		"not aligned":           func(uint32, uint32) uint32 { return 1001 },
		"beyond the memory":     func(_, size uint32) uint32 { return memory + 8 - size },
		"end of the addresses":  func(uint32, uint32) uint32 { return 1<<32 - 4 },
		"traps by itself":       func(uint32, uint32) uint32 { panic(engine.Fault{Reason: "no"}) },
		"calls a host function": nil,
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuest(t)
			if g.alloc = alloc; alloc == nil {
				g.alloc = func(align, size uint32) uint32 {
					at, _ := Of(g.in).Allocate(align, size)
					return at
				}
			}
			g.traps(func(s *State) { s.PutStrings(s.Area(64, 8, 4), 0, []string{"a"}) })
		})
	}
	g := newGuest(t)
	g.alloc = func(_, size uint32) uint32 { return memory - size }
	g.ok(func(s *State) { s.PutString(s.Area(64, 8, 4), 0, "the last bytes") })
	g.alloc = func(uint32, uint32) uint32 { g.in.ExitGuest(3); return 0 }
	out := g.run(func(s *State) { s.PutString(s.Area(64, 8, 4), 0, "a") })
	require.Equal(t, engine.Exit, out.Kind)
	require.EqualValues(t, 3, out.ExitCode)
}

func TestLift(t *testing.T) {
	for name, bad := range map[string]func(s *State){
		"a string beyond the memory":   func(s *State) { s.Text(engine.PageBytes*2-1, 2, 10) },
		"a string that is not UTF-8":   func(s *State) { copy(s.Bytes(64, 2), "\xc3\x28"); s.Text(64, 2, 10) },
		"a surrogate":                  func(s *State) { copy(s.Bytes(64, 3), "\xed\xa0\x80"); s.Text(64, 3, 10) },
		"a list of too many elements":  func(s *State) { s.List(0, 1<<29, 16, 4) },
		"a list beyond the memory":     func(s *State) { s.List(8, engine.PageBytes, 4, 4) },
		"a list that is not aligned":   func(s *State) { s.List(2, 1, 4, 4) },
		"a result that is not aligned": func(s *State) { s.Area(4, 8, 8) },
		"a case that does not exist":   func(*State) { Case(3, 3) },
	} {
		t.Run(name, func(t *testing.T) { newGuest(t).traps(bad) })
	}
	newGuest(t).ok(func(s *State) {
		copy(s.Bytes(64, 6), "héllo")
		text, ok := s.Text(64|1<<40, 6|1<<40, 6) // upper halves are undefined
		require.True(t, ok)
		require.Equal(t, "héllo", text)
		_, ok = s.Text(64, 6, 5)
		require.False(t, ok)
		text, ok = s.Text(0, 0, 5)
		require.True(t, ok)
		require.Empty(t, text)
		require.EqualValues(t, 2, Case(2|1<<32, 3))
	})
}

func TestAllocationsOfTheHost(t *testing.T) {
	g := newGuest(t)
	g.alloc = func(uint32, uint32) uint32 { return 1024 }
	text := "some text"
	g.ok(func(s *State) {
		m := s.Area(64, 8, 4)
		require.Zero(t, testing.AllocsPerRun(100, func() { s.PutString(m, 0, text) }))
	})
}
