package engine

import (
	"bytes"
	"context"
	"embed"
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/internal/turns"
)

//go:generate sh -c "cd testdata && for f in *.wat; do wat2wasm $DOLLAR{f} || exit 1; done"

//go:embed testdata/*.wasm
var testdata embed.FS

func guest(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := testdata.ReadFile("testdata/" + name + ".wasm")
	require.NoError(tb, err)
	return b
}

// The entries of the guest "state".
const (
	get = iota
	scramble
	trap
	note
	deep
	spin
)

var stateOptions = ModuleOptions{Init: []string{"_initialize"}, Entries: []string{"get", "scramble", "trap", "note", "deep", "spin"}}

// withNote adds a host module "test" of one function.
func withNote(cfg Config) Config {
	cfg.HostModules = append(cfg.HostModules, HostModule{
		Name: "test",
		Funcs: []HostFunc{
			{Name: "note", Params: []ValueType{I32}, Call: func(in *Instance, p []uint64) { in.Exchange.(func(uint32))(uint32(p[0])) }},
		},
	})
	return cfg
}

// interpreted makes engines without a cache run the interpreter only; see TestOutcomesOfTheInterpreter.
var interpreted = flag.Bool("interpreted", false, "run guests in wazero's interpreter")

// open starts an engine with a host module "test" of one function. The test fails if anything is not closed.
func open(tb testing.TB, cfg Config) *Engine {
	tb.Helper()
	cfg = withNote(cfg)
	if cfg.Slots == 0 {
		cfg.Slots = 4
	}
	if *interpreted {
		if cfg.CacheDir != "" || cfg.Mode != Compiled {
			tb.Skip("needs compiled code")
		}
		cfg.Mode = Interpreted
	}
	e, err := Open(context.Background(), cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, e.Close(context.Background())) })
	return e
}

func decoded(tb testing.TB, bin []byte) *Decoded {
	tb.Helper()
	d, err := Decode(bin)
	require.NoError(tb, err)
	return d
}

func compile(tb testing.TB, e *Engine, name string, o ModuleOptions) *Module {
	tb.Helper()
	m, err := e.Compile(context.Background(), decoded(tb, guest(tb, name)), o)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, m.Close(context.Background())) })
	return m
}

func slot(tb testing.TB, e *Engine) *Slot {
	tb.Helper()
	s, ok := e.AcquireSlot()
	require.True(tb, ok, "a slot is free")
	return s
}

// prepare returns the first instance of a module, and further ones in later calls.
func prepare(tb testing.TB, m *Module) (in *Instance) {
	tb.Helper()
	var err error
	if m.image == nil {
		in, err = m.Prepare(context.Background(), slot(tb, m.engine))
	} else {
		in, _, err = m.Instantiate(context.Background(), soon(), slot(tb, m.engine))
	}
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, in.Close()) })
	return in
}

func soon() time.Time { return time.Now().Add(time.Minute) }

func call(tb testing.TB, in *Instance, index int, param uint64) uint64 {
	tb.Helper()
	stack := []uint64{param}
	out := in.Call(context.Background(), soon(), index, stack)
	require.Equal(tb, OK, out.Kind, "%v", out.Err)
	return stack[0]
}

// state returns all state that a guest could find of an earlier request.
func state(tb testing.TB, in *Instance) (memory []byte, globals [4]uint64) {
	for i := range globals {
		globals[i] = call(tb, in, get, uint64(i))
	}
	return bytes.Clone(in.Memory()), globals
}

// TestSlotsChangeHandsWiped checks that slots carry no data from one module to the next.
func TestSlotsChangeHandsWiped(t *testing.T) {
	e := open(t, Config{Slots: 1})
	m := compile(t, e, "state", stateOptions)
	in, err := m.Prepare(context.Background(), slot(t, e))
	require.NoError(t, err)
	call(t, in, scramble, 0xffff)
	require.NoError(t, in.Close())
	for range e.Stats().Slots {
		s := slot(t, e)
		require.True(t, allZero(s.Bytes()))
		defer e.ReleaseSlot(s)
	}
	_, ok := e.AcquireSlot()
	require.False(t, ok, "no more than there are")
}

func TestBudgetIsTheSmallestOfSlotOptionAndDeclaration(t *testing.T) {
	e := open(t, Config{SlotBytes: 200 * PageBytes})
	for _, c := range []struct{ option, want int64 }{
		{0, 100 * PageBytes}, {500 * PageBytes, 100 * PageBytes}, {20*PageBytes + 5, 20 * PageBytes},
	} {
		o := stateOptions
		o.MemoryBytes = c.option
		m := compile(t, e, "state", o)
		require.Equal(t, c.want, m.LimitBytes(), "the guest declares 100 pages")
		in := prepare(t, m)
		for range 20 {
			call(t, in, scramble, 15)
		}
		require.LessOrEqual(t, int64(len(in.Memory())), c.want)
	}
	_, err := e.Compile(context.Background(), decoded(t, guest(t, "state")), ModuleOptions{MemoryBytes: 4 << 10})
	require.ErrorContains(t, err, "declares a minimum of 64 KiB of linear memory, the limit is 0 KiB")
}

func TestBadInitialisationsAreTheModulesFault(t *testing.T) {
	e := open(t, Config{SlotBytes: 32 * PageBytes})
	short := open(t, Config{InitTimeout: 50 * time.Millisecond, SlotBytes: 32 * PageBytes})
	for name, want := range map[string]string{
		"trap":    "is refused: its initialisation traps: wasm error: unreachable",
		"spin":    "is refused: its initialisation has not ended after 50ms",
		"hog":     "is refused: its initialisation needs more memory than the limit of 2 MiB",
		"recurse": "is refused: its initialisation ends with: stack overflow",
		"missing": `is refused: its initialisation traps: does not export the function "missing"`,
	} {
		t.Run(name, func(t *testing.T) {
			e := e
			if name == "spin" { // the others have enough time
				e = short
			}
			m := compile(t, e, "badinit", ModuleOptions{Init: []string{name}})
			_, err := m.Prepare(context.Background(), slot(t, e))
			var invalid *ModuleError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, []string{want}, invalid.Violations)
		})
	}
	for _, e := range []*Engine{e, short} {
		require.Equal(t, e.Stats().Slots, e.Stats().FreeSlots, "failed initialisations give their slots back")
	}
}

func TestFailedInstantiationGivesTheSlotBack(t *testing.T) {
	e := open(t, Config{})
	m := compile(t, e, "outofbounds", ModuleOptions{})
	_, err := m.Prepare(context.Background(), slot(t, e))
	require.ErrorContains(t, err, "cannot be instantiated")
	require.Equal(t, e.Stats().Slots, e.Stats().FreeSlots)
}

func TestStartFunctionRunsOnce(t *testing.T) {
	e := open(t, Config{})
	m := compile(t, e, "start", ModuleOptions{Entries: []string{"get"}})
	in := prepare(t, m)
	require.EqualValues(t, 42, call(t, in, 0, 0))
	in.Memory()[0] = 7
	_, err := in.Reset()
	require.NoError(t, err)
	require.EqualValues(t, 42, call(t, in, 0, 0), "it is part of the snapshot")
}

func TestImportsAreChecked(t *testing.T) {
	e, err := Open(context.Background(), Config{
		Slots: 1,
		HostModules: []HostModule{{
			Name: "test",
			Funcs: []HostFunc{
				{Name: "other"}, {Name: "note", Params: []ValueType{I64}},
			},
		}},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close(context.Background())) }()
	_, err = e.Compile(context.Background(), decoded(t, guest(t, "state")), stateOptions)
	require.EqualError(t, err, "module: imports test.note as (i32) -> (), the host has it as (i64) -> ()")

	e2, err := Open(context.Background(), Config{Slots: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, e2.Close(context.Background())) }()
	_, err = e2.Compile(context.Background(), decoded(t, guest(t, "state")), stateOptions)
	require.EqualError(t, err, `module: imports test.note: the host has no module "test"`)
}

func TestCallsEndAtTheDeadlineOrWhenNobodyWaits(t *testing.T) {
	e := open(t, Config{})
	m := compile(t, e, "state", stateOptions)
	out := prepare(t, m).Call(context.Background(), time.Now().Add(20*time.Millisecond), spin, make([]uint64, 1))
	require.Equal(t, Deadline, out.Kind)

	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	out = prepare(t, m).Call(ctx, soon(), spin, make([]uint64, 1))
	require.Equal(t, Canceled, out.Kind)

	time.AfterFunc(20*time.Millisecond, m.Stop)
	out = prepare(t, m).Call(context.Background(), soon(), spin, make([]uint64, 1))
	require.Equal(t, Canceled, out.Kind)
}

// TestCallStackIsBounded checks that normal recursion works, that a recursion bomb is
// reported as such, and that an instance does not keep its grown stack. The last check
// fails if wazero moves the field that stackField reads.
func TestCallStackIsBounded(t *testing.T) {
	e := open(t, Config{})
	in := prepare(t, compile(t, e, "state", stateOptions))
	require.EqualValues(t, 5000, call(t, in, deep, 5000))
	if !*interpreted { // the interpreter's stack is elsewhere
		require.True(t, in.stacks.known)
		require.Positive(t, in.stacks.bytes(in.entries[deep].fn))
	}

	out := in.Call(context.Background(), soon(), deep, []uint64{1 << 40})
	require.Equal(t, StackOverflow, out.Kind)
	require.LessOrEqual(t, in.stacks.bytes(in.entries[deep].fn), keepStackBytes)
}

func TestPanicsInHostFunctionsAreTheHostsFault(t *testing.T) {
	e := open(t, Config{})
	m := compile(t, e, "state", stateOptions)
	for name, c := range map[string]struct {
		f    func(in *Instance)
		want Kind
	}{
		"nil pointer": {func(*Instance) { var p *int; *p = 1 }, HostError},
		"bad view":    {func(in *Instance) { in.View(3*PageBytes, 1) }, Trap},
		"overflow":    {func(in *Instance) { in.View(0xffffffff, 0xffffffff) }, Trap},
		"unusable":    {func(*Instance) { panic(Unusable{"a bad header"}) }, BadAnswer},
		"exit 3":      {func(in *Instance) { in.ExitGuest(3) }, Exit},
		"give up":     {func(in *Instance) { in.GiveUp(context.Canceled) }, Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			in := prepare(t, m)
			in.Exchange = func(uint32) { c.f(in) }
			out := in.Call(context.Background(), soon(), note, []uint64{1})
			require.Equal(t, c.want, out.Kind, "%v", out.Err)
			require.False(t, out.Clean())
		})
	}
}

func TestCallsAndResetsDoNotAllocate(t *testing.T) {
	if *interpreted {
		t.Skip("the interpreter allocates")
	}
	e := open(t, Config{})
	in := prepare(t, compile(t, e, "state", stateOptions))
	stack, deadline := make([]uint64, 1), soon()
	n := testing.AllocsPerRun(100, func() {
		stack[0] = 3
		if in.Call(context.Background(), deadline, scramble, stack).Kind != OK {
			panic("call")
		}
		if _, err := in.Reset(); err != nil {
			panic(err)
		}
	})
	require.Zero(t, n)
}

// TestFreshInstancesInitialiseUnderTurns lets fresh instances with a long initialisation
// share one turn: creating an instance takes a turn, and so does running its initialisation.
func TestFreshInstancesInitialiseUnderTurns(t *testing.T) {
	e := open(t, Config{Slots: 4, InitTimeout: 50 * time.Millisecond})
	e.turns = turns.New(1)
	m := compile(t, e, "badinit", ModuleOptions{Init: []string{"spin"}, Fresh: true})
	for range 3 {
		in, out, err := m.Instantiate(context.Background(), time.Now().Add(20*time.Millisecond), slot(t, e))
		require.NoError(t, err)
		require.Nil(t, in)
		require.Equal(t, Deadline, out.Kind)
	}
	require.Equal(t, e.Stats().Slots, e.Stats().FreeSlots)
}

func TestNextSliceAimsAtTheTarget(t *testing.T) {
	for _, c := range []struct {
		fuel int64
		took time.Duration
		want int64
	}{
		{20_000, sliceTarget, 20_000},
		{20_000, 10 * sliceTarget, 2_000},
		{20_000, sliceTarget / 2, 40_000},
		{10_000, time.Nanosecond, 10_000 * maxSliceChangeFactor},
		{20_000, time.Hour, minSliceFuel},
		{maxSliceFuel, time.Nanosecond, maxSliceFuel},
		{minSliceFuel, 0, minSliceFuel * maxSliceChangeFactor},
	} {
		require.Equal(t, c.want, nextSlice(c.fuel, c.took), "%+v", c)
	}
}

func TestLongCallsTakeTurns(t *testing.T) {
	e := open(t, Config{Slots: 8})
	e.turns = turns.New(1)
	m := compile(t, e, "state", stateOptions)
	done := make(chan Outcome)
	for range 4 {
		in := prepare(t, m)
		go func() {
			done <- in.Call(context.Background(), time.Now().Add(100*time.Millisecond), spin, make([]uint64, 1))
		}()
	}
	for range 4 {
		require.Equal(t, Deadline, (<-done).Kind, "also those that wait for a turn end at their deadline")
	}
	require.NoError(t, e.turns.Acquire(context.Background(), soon()), "all turns came back")
	e.turns.Release()
}

// A request with many short calls takes turns as one with a long call does.
func TestLaterCallsTakeTurns(t *testing.T) {
	e := open(t, Config{Slots: 1})
	e.turns = turns.New(1)
	in := prepare(t, compile(t, e, "state", stateOptions))
	require.NoError(t, e.turns.Acquire(context.Background(), soon()))
	late := func() time.Time { return time.Now().Add(20 * time.Millisecond) }
	require.Equal(t, OK, in.Call(context.Background(), late(), get, make([]uint64, 1)).Kind, "a short request needs no turn")
	in.run.guestTime = turns.LongAfter + 1
	require.Equal(t, Deadline, in.Call(context.Background(), late(), get, make([]uint64, 1)).Kind)
	e.turns.Release()
	in.run.guestTime = turns.LongAfter + 1
	require.Equal(t, OK, in.Call(context.Background(), soon(), get, make([]uint64, 1)).Kind)
	require.Zero(t, e.turns.Stats().Held)
}
