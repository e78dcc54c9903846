package abitest

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// TB is the part of testing.TB that Hostility uses. This
// package is not a test, so it does not import testing.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

const (
	// programAt is the address of the program in the guest's memory. Parameters can point to it.
	programAt = 0x100
	// maxCalls bounds a program.
	maxCalls = 16
	// patience is the longest wait of a call.
	patience = 5 * time.Millisecond
)

// Hostility is a guest that calls any host functions with any parameters, as encoded in a program of bytes.
// Each call must succeed or fail with a fault of the guest, and must not write beyond the guest's memory.
type Hostility struct {
	bench     *Bench
	in        *engine.Instance
	functions []engine.HostFunc
	used      bool
	dead      bool
}

// NewHostility starts an engine with these host modules.
func NewHostility(tb TB, a abi.ABI, env *abi.Environment, hosts ...engine.HostModule) *Hostility {
	tb.Helper()
	b, err := Open(hosts...)
	if err != nil {
		tb.Fatalf("open the engine: %v", err)
	}
	tb.Cleanup(func() {
		if err := b.Close(); err != nil {
			tb.Fatalf("close the engine: %v", err)
		}
	})
	h := &Hostility{bench: b}
	if h.in, h.functions, err = b.Forwarder(a, env); err != nil {
		tb.Fatalf("load the guest: %v", err)
	}
	return h
}

// Seeds returns programs that call each function with valid and invalid parameters.
func (h *Hostility) Seeds() (programs [][]byte) {
	for i, f := range h.functions {
		for selector := range byte(selectors) {
			program := []byte{byte(i)}
			for p := range f.Params {
				program = append(program, selector, byte(p), 0, 1, 0, 0, 0, 0, 0)
			}
			programs = append(programs, program)
		}
	}
	return programs
}

// Instance returns the instance for the next Run, in its initial state.
func (h *Hostility) Instance() *engine.Instance {
	var err error
	switch {
	case h.dead:
		h.in, err = h.bench.Renew()
	case h.used:
		_, err = h.in.Reset()
	}
	if err != nil {
		panic(err)
	}
	h.used, h.dead = false, false
	return h.in
}

// Run runs a program. Each call is encoded as the number of the function and its parameters.
func (h *Hostility) Run(tb TB, program []byte) {
	tb.Helper()
	h.used = true
	copy(h.in.Memory()[programAt:], program)
	rest := program
	for range maxCalls {
		if len(rest) == 0 {
			return
		}
		index := int(rest[0]) % len(h.functions)
		f := h.functions[index]
		rest = rest[1:]
		stack := make([]uint64, max(len(f.Params), len(f.Results)))
		for p := range f.Params {
			stack[p], rest = parameter(rest)
		}
		out := h.in.Call(context.Background(), time.Now().Add(patience), index, stack)
		h.dead = !out.Clean()
		switch out.Kind {
		case engine.OK, engine.Exit, engine.Trap, engine.BadAnswer, engine.Canceled, engine.Deadline:
		default:
			tb.Fatalf("%s%v ends with %v: %v", f.Name, stack, out.Kind, out.Err)
		}
		if behind := h.bench.Cell()[len(h.in.Memory()):]; bytes.Count(behind, []byte{0}) != len(behind) {
			tb.Fatalf("%s%v writes behind the guest's memory", f.Name, stack)
		}
		if out.Kind != engine.OK {
			return
		}
	}
}

// selectors is the number of parameter kinds.
const selectors = 8

// parameter decodes one parameter and returns the rest of the program.
func parameter(program []byte) (v uint64, rest []byte) {
	var fixed [9]byte
	copy(fixed[:], program)
	b := uint64(fixed[1])
	used := 2
	switch fixed[0] % selectors {
	case 0:
		v = b
	case 1:
		v = programAt + b // in the program
	case 2:
		v = memoryPages*engine.PageBytes - b // at the end of the memory
	case 3:
		v = 1<<32 - 1 - b
	case 4:
		v = b << 12
	case 5:
		v = 1<<31 - 128 + b
	case 6:
		v, used = uint64(binary.LittleEndian.Uint32(fixed[1:])), 5
	case 7:
		v, used = binary.LittleEndian.Uint64(fixed[1:]), 9
	}
	return v, program[min(used, len(program)):]
}
