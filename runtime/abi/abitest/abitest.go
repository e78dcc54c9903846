// Package abitest runs ABIs in real instances, with guests whose
// behaviour is defined by the test. It is only imported by tests.
package abitest

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/engine"
)

//go:generate wat2wasm puppet.wat -o puppet.wasm

//go:embed puppet.wasm
var puppet []byte

// Entry is an exported function of the puppet.
type Entry uint32

// The puppet's functions, numbered as in puppet.wat.
const (
	Initialize Entry = iota
	HandleRequest
	HandleResponse
	Start
	Allocate
	Handle
)

// Act is the code of the puppet, called for each of its functions. Its return value is
// the result of HandleRequest and the address for Allocate. context and isError are the parameters of HandleResponse, alignment
// and size for Allocate, and the handles of request and response for Handle.
type Act func(in *engine.Instance, at Entry, context, isError uint32) int64

// Bench is an engine with the host modules under test. It is used by one goroutine at a time.
type Bench struct {
	Engine *engine.Engine
	Act    Act // may be replaced at any time

	functions map[string]engine.HostFunc
	hosts     []engine.HostModule
	module    *engine.Module
	slots     []*engine.Slot
	instances []*engine.Instance
}

// Open starts an engine. The caller must call Close.
func Open(hosts ...engine.HostModule) (*Bench, error) {
	b := &Bench{functions: map[string]engine.HostFunc{}, hosts: hosts}
	for _, h := range hosts {
		for _, f := range h.Funcs {
			b.functions[Qualified(h.Name, f.Name)] = f
		}
	}
	act := engine.HostModule{
		Name:   "test",
		Within: true,
		Funcs: []engine.HostFunc{{
			Name:    "act",
			Params:  []engine.ValueType{engine.I32, engine.I32, engine.I32},
			Results: []engine.ValueType{engine.I64},
			Call: func(in *engine.Instance, p []uint64) {
				p[0] = uint64(b.Act(in, Entry(uint32(p[0])), uint32(p[1]), uint32(p[2])))
			},
		}},
	}
	var err error
	b.Engine, err = engine.Open(context.Background(), engine.Config{
		Slots:       4,
		SlotBytes:   4 * engine.PageBytes,
		HostModules: append([]engine.HostModule{act}, hosts...),
	})
	return b, err
}

// Close closes all instances, the module and the engine.
func (b *Bench) Close() error {
	var errs []error
	for _, in := range b.instances {
		errs = append(errs, in.Close())
	}
	if b.module != nil {
		errs = append(errs, b.module.Close(context.Background()))
	}
	return errors.Join(append(errs, b.Engine.Close(context.Background()))...)
}

// Puppet compiles the puppet for an ABI and returns its first instance, initialised.
func (b *Bench) Puppet(a abi.ABI, env *abi.Environment) (*engine.Instance, error) {
	module, err := engine.Decode(puppet)
	if err != nil {
		return nil, err
	}
	init, entries := a.Functions(module.Info())
	return b.load(module, engine.ModuleOptions{Init: init, Entries: entries, Bind: func(in *engine.Instance) { a.Bind(in, env) }})
}

// Forwarder compiles a guest that exports each host function of the Bench under its own name and forwards
// calls to it. It returns the first instance and the host functions in the order of the entries. The entry behind them is
// the allocator of a component, which always returns the same address.
func (b *Bench) Forwarder(a abi.ABI, env *abi.Environment) (*engine.Instance, []engine.HostFunc, error) {
	bin, functions := forwarder(b.hosts)
	names := make([]string, len(functions))
	for i, f := range functions {
		names[i] = f.Name
	}
	module, err := engine.Decode(bin)
	if err != nil {
		return nil, nil, err
	}
	names = append(names, allocator)
	in, err := b.load(module, engine.ModuleOptions{Entries: names, Bind: func(in *engine.Instance) { a.Bind(in, env) }})
	return in, functions, err
}

func (b *Bench) load(module *engine.Decoded, o engine.ModuleOptions) (*engine.Instance, error) {
	if b.module != nil {
		return nil, errors.New("abitest: a Bench has one module")
	}
	var err error
	if b.module, err = b.Engine.Compile(context.Background(), module, o); err != nil {
		return nil, err
	}
	in, err := b.module.Prepare(context.Background(), b.slot())
	if err != nil {
		return nil, err
	}
	b.instances = append(b.instances, in)
	return in, nil
}

func (b *Bench) slot() *engine.Slot {
	slot, ok := b.Engine.AcquireSlot()
	if !ok {
		panic("abitest: more instances are open than there are slots")
	}
	b.slots = append(b.slots, slot)
	return slot
}

// Another returns another instance of the module.
func (b *Bench) Another() (*engine.Instance, error) {
	in, out, err := b.module.Instantiate(context.Background(), Soon(), b.slot())
	if err != nil || !out.Clean() {
		return nil, errors.Join(err, out.Err)
	}
	b.instances = append(b.instances, in)
	return in, nil
}

// Renew closes the last instance and returns a new one.
func (b *Bench) Renew() (*engine.Instance, error) {
	last := len(b.instances) - 1
	if err := b.instances[last].Close(); err != nil {
		return nil, err
	}
	b.instances, b.slots = b.instances[:last], b.slots[:last]
	return b.Another()
}

// Cell returns the whole slot of the last instance, including the part beyond the guest's memory.
func (b *Bench) Cell() []byte { return b.slots[len(b.slots)-1].Bytes() }

// Call calls a host function from within an Act. It fills the upper halves
// of i32 parameters with garbage, which a real call may do as well.
func (b *Bench) Call(in *engine.Instance, name string, params ...uint64) uint64 {
	f, ok := b.functions[name]
	if !ok || len(params) != len(f.Params) {
		panic(fmt.Sprintf("abitest: %s is called with %d parameters", name, len(params)))
	}
	stack := make([]uint64, max(len(f.Params), len(f.Results)))
	copy(stack, params)
	for i, p := range f.Params {
		if p == engine.I32 {
			stack[i] = stack[i]&(1<<32-1) | 0xdead<<48
		}
	}
	f.Call(in, stack)
	switch {
	case len(f.Results) == 0:
		return 0
	case f.Results[0] == engine.I32:
		return uint64(uint32(stack[0]))
	}
	return stack[0]
}

// Soon returns a deadline that no test reaches.
func Soon() time.Time { return time.Now().Add(time.Minute) }
