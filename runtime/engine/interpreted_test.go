package engine

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOutcomesOfTheInterpreter runs the tests of this package in the interpreter, except slow ones and those of files.
func TestOutcomesOfTheInterpreter(t *testing.T) {
	if testing.Short() || *interpreted {
		t.Skip("runs the tests of this package")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-interpreted", "-test.skip",
		"TestOutcomesOfTheInterpreter|TestNothingStays|Killed|Described|TestSnapshotsAreRecalled|TestDamagedCache|TestSharedCode")
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
}

// step is a call of a guest that is compared in both modes.
type step struct {
	entry int
	param uint64
	reset bool // before the call
}

// seen is the result of a step.
type seen struct {
	Kind    Kind
	Exit    uint32
	Value   uint64
	Work    int64
	Memory  [sha256.Size]byte
	Globals [4]uint64
}

// TestInterpreterEqualsCompiler compares everything that a call leaves behind.
func TestInterpreterEqualsCompiler(t *testing.T) {
	var steps []step
	for param := range uint64(24) {
		reset := param%5 == 0
		steps = append(steps, step{scramble, param * 7919, reset}, step{get, param % 4, false}, step{deep, param * 97, false})
	}
	for _, last := range []step{{trap, 0, true}, {deep, 1 << 40, true}, {note, 1, false}, {note, 2, true}, {note, 3, true}, {note, 4, false}} {
		t.Run(fmt.Sprint(last), func(t *testing.T) {
			want := outcomes(t, Compiled, append(steps[:len(steps):len(steps)], last))
			require.Equal(t, want, outcomes(t, Interpreted, append(steps[:len(steps):len(steps)], last)))
			require.Len(t, want, len(steps)+1)
		})
	}
}

func outcomes(t *testing.T, mode Mode, steps []step) (all []seen) {
	if *interpreted {
		t.Skip("compares both")
	}
	e := open(t, Config{Mode: mode, SlotBytes: 32 * PageBytes})
	in := prepare(t, compile(t, e, "state", stateOptions))
	in.Exchange = func(n uint32) {
		switch n {
		case 1:
			in.View(0xffffffff, 2)
		case 2:
			in.ExitGuest(7)
		case 3:
			panic(Unusable{"a bad header"})
		}
	}
	for _, s := range steps {
		if s.reset {
			_, err := in.Reset()
			require.NoError(t, err)
		}
		stack := []uint64{s.param}
		out := in.Call(t.Context(), soon(), s.entry, stack)
		got := seen{Kind: out.Kind, Exit: out.ExitCode, Work: in.Work(), Memory: sha256.Sum256(in.Memory())}
		for i, g := range in.globals {
			got.Globals[i] = g.Get()
		}
		if out.Kind == OK {
			got.Value = stack[0]
		}
		all = append(all, got)
	}
	return all
}

// A recursion bomb ends as a trap of the guest, even if the call stack may be larger than the interpreter's.
func TestRecursionInTheInterpreterIsBounded(t *testing.T) {
	in := prepare(t, compile(t, open(t, Config{Mode: Interpreted, StackBytes: 1 << 30}), "state", stateOptions))
	require.Equal(t, Trap, in.Call(t.Context(), soon(), deep, []uint64{1 << 40}).Kind)
}

// first opens an engine that interprets first.
func first(t *testing.T, cfg Config) *Engine {
	t.Helper()
	cfg.Mode = InterpretedFirst
	return open(t, cfg)
}

func awaitCode(t *testing.T, m *Module) {
	t.Helper()
	select {
	case <-m.Compiling():
	case <-time.After(time.Minute):
		t.Fatal("the code is not compiled after a minute")
	}
}

// compiling returns a command for compiling that runs the script, and hangs afterwards.
func compiling(t *testing.T, script string) []string {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("there is no sleep")
	}
	file := filepath.Join(t.TempDir(), "compile")
	require.NoError(t, os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\nexec "+sleep+" 60\n"), 0o700))
	return []string{file, "compile"}
}

func TestInstancesAreReplacedByCompiledOnes(t *testing.T) {
	for name, cfg := range map[string]Config{"no cache": {}, "cache": {CacheDir: t.TempDir()}} {
		t.Run(name, func(t *testing.T) {
			e := first(t, cfg)
			ended := make(chan error, 1)
			o := stateOptions
			o.Compiled = func(err error) { ended <- err }
			m := compile(t, e, "state", o)
			old := prepare(t, m)
			require.NoError(t, <-ended)
			awaitCode(t, m)
			require.True(t, old.code.interpreted)
			require.True(t, old.Outdated())
			in := prepare(t, m)
			require.False(t, in.code.interpreted)
			require.False(t, in.Outdated())
			require.Equal(t, 1, e.Stats().Codes)
			require.Zero(t, e.interpretedBytes.Load())

			wantMemory, wantGlobals := state(t, in)
			for _, in := range []*Instance{old, in} { // both go on
				memory, globals := state(t, in)
				require.Equal(t, wantMemory, memory)
				require.Equal(t, wantGlobals, globals)
				call(t, in, scramble, 99)
				_, err := in.Reset()
				require.NoError(t, err)
			}
			memory, globals := state(t, old)
			require.Equal(t, wantMemory, memory)
			require.Equal(t, wantGlobals, globals)
			require.Nil(t, compile(t, e, "state", o).Compiling(), "another module shares the code at once")
		})
	}
}

// Instances are made, used and closed while several modules with the same code are swapped.
func TestSwapUnderInstances(t *testing.T) {
	e := first(t, Config{Slots: 8, CacheDir: t.TempDir()})
	for range 5 {
		m := compile(t, e, "state", stateOptions)
		in := prepare(t, m)
		wantMemory, wantGlobals := state(t, in)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for compiled := 0; compiled < 3; {
					free, ok := e.AcquireSlot()
					require.True(t, ok)
					in, out, err := m.Instantiate(context.Background(), soon(), free)
					require.NoError(t, err)
					require.True(t, out.Clean())
					memory, globals := state(t, in)
					require.Equal(t, wantMemory, memory)
					require.Equal(t, wantGlobals, globals)
					if !in.code.interpreted {
						compiled++
					}
					require.NoError(t, in.Close())
				}
			})
		}
		all.Wait()
		require.NoError(t, e.Retain())
	}
}

// A module is closed while its code is compiled: the compilation ends, and nothing is reported.
func TestCloseEndsTheCompilationInTheBackground(t *testing.T) {
	e := first(t, Config{CacheDir: t.TempDir(), CompileCommand: compiling(t, "")})
	o := stateOptions
	o.Compiled = func(error) { t.Error("reported") }
	m, err := e.Compile(t.Context(), decoded(t, guest(t, "state")), o)
	require.NoError(t, err)
	in, err := m.Prepare(t.Context(), slot(t, e))
	require.NoError(t, err)
	require.EqualValues(t, 10, call(t, in, get, 0))
	require.False(t, in.Outdated())
	require.Positive(t, e.LoadedBytes())
	require.NoError(t, in.Close())
	require.NoError(t, m.Close(t.Context()))
	awaitCode(t, m)
	require.Zero(t, e.LoadedBytes())
}

func TestFailedCompilationLeavesTheInterpreter(t *testing.T) {
	e := first(t, Config{CacheDir: t.TempDir(), CompileCommand: compiling(t, "echo no; exit 10")})
	ended := make(chan error, 1)
	o := stateOptions
	o.Compiled = func(err error) { ended <- err }
	m := compile(t, e, "state", o)
	in := prepare(t, m)
	var refused *ModuleError
	require.ErrorAs(t, <-ended, &refused)
	require.Equal(t, []string{"is refused: no\n"}, refused.Violations)
	awaitCode(t, m)
	require.False(t, in.Outdated())
	require.EqualValues(t, 10, call(t, in, get, 0))
	require.EqualValues(t, 10, call(t, prepare(t, m), get, 0))
}

// An initialisation that fails in the interpreter is refused at once; one that takes too long, or is not done when the code
// is compiled, begins anew in compiled code.
func TestInitialisationsInTheInterpreter(t *testing.T) {
	never := first(t, Config{SlotBytes: 32 * PageBytes, CacheDir: t.TempDir(), CompileCommand: compiling(t, "")})
	for name, want := range map[string]string{"trap": "traps", "hog": "needs more memory"} {
		_, err := compile(t, never, "badinit", ModuleOptions{Init: []string{name}}).Prepare(t.Context(), slot(t, never))
		require.ErrorContains(t, err, want)
	}
	e := first(t, Config{InitTimeout: 100 * time.Millisecond})
	m := compile(t, e, "badinit", ModuleOptions{Init: []string{"spin"}})
	_, err := m.Prepare(t.Context(), slot(t, e))
	require.ErrorContains(t, err, "has not ended after 100ms")
	awaitCode(t, m)
	require.True(t, e.slow.Load())
	require.Nil(t, compile(t, e, "state", stateOptions).Compiling(), "the interpreter is too slow for this guest")
	for _, e := range []*Engine{never, e} {
		require.Equal(t, e.Stats().Slots, e.Stats().FreeSlots)
	}

	failing := first(t, Config{InitTimeout: 50 * time.Millisecond, CacheDir: t.TempDir(), CompileCommand: compiling(t, "echo no; exit 10")})
	_, err = compile(t, failing, "badinit", ModuleOptions{Init: []string{"spin"}}).Prepare(t.Context(), slot(t, failing))
	require.ErrorContains(t, err, "is refused: no")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	never = first(t, Config{CacheDir: t.TempDir(), CompileCommand: compiling(t, "")})
	_, err = compile(t, never, "badinit", ModuleOptions{Init: []string{"spin"}}).Prepare(ctx, slot(t, never))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, never.Stats().Slots, never.Stats().FreeSlots)
}

// A request that computes for long ends the use of the interpreter for later modules.
func TestSlowRequestsEndTheInterpreter(t *testing.T) {
	e := first(t, Config{CacheDir: t.TempDir(), CompileCommand: compiling(t, "")})
	in := prepare(t, compile(t, e, "state", stateOptions))
	out := in.Call(t.Context(), time.Now().Add(slowTime+slowTime/2), spin, []uint64{0})
	require.Equal(t, Deadline, out.Kind)
	require.True(t, e.slow.Load())
}
