package wasihttp3

import (
	"fmt"
	"slices"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/concurrent"
	"github.com/vespo-dev/vespo/runtime/abi/wasicloud"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/abi/wasip2"
	"github.com/vespo-dev/vespo/runtime/abi/wasip3"
	"github.com/vespo-dev/vespo/runtime/engine"
)

// Exports of a guest.
const (
	exportHandle   = "[async-lift]" + handlerName + "#handle"
	exportCallback = "[callback]" + exportHandle
	exportSync     = handlerName + "#handle" // lifted without the option async
	exportPost     = "cabi_post_" + exportSync
	exportInit     = "_initialize"
)

// Indexes of the entries.
const (
	entryHandle = iota
	entryCallback
	entryAllocator
	entrySync
	entryPost
)

// ABI implements abi.Server. The zero value is ready.
type ABI struct{}

// Traits implements abi.ABI.
func (ABI) Traits() abi.Traits {
	return abi.Traits{
		Name:   "wasi:http@0.3",
		Export: handlerName,
		Guest:  "a component of WASI 0.3",
		Build:  "as a component for the world wasi:http/service@0.3",

		Forwards:   true,
		ForwardsBy: handlerName,
		Lingers:    true,
	}
}

// HostModules implements abi.ABI.
func (ABI) HostModules() []engine.HostModule {
	system := wasip3.HostModules(func(s *canonical.State) *wasip3.State { return &of(s).interfaces })
	return slices.Concat(system, wasip2.HostModules(), wasicloud.HostModules(), []engine.HostModule{
		wasip1.HostModule(),
		concurrent.HostModule(slices.Concat(elementTypes(), wasip3.Types()), taskReturn()),
		typesFunctions(),
		{Name: clientModule, Funcs: sendFunctions("send", (*sending).open)},
		{Name: handlerName, Funcs: sendFunctions("handle", (*sending).forward)},
	})
}

func typesFunctions() engine.HostModule {
	return engine.HostModule{
		Name:  typesModule,
		Funcs: slices.Concat(fieldsFunctions(), requestFunctions(), responseFunctions(), optionsFunctions()),
	}
}

// Match implements abi.ABI.
func (ABI) Match(info *engine.Info) (bool, error) {
	handle, ok := abi.FuncExport(info, exportHandle)
	if !ok {
		return matchSync(info)
	}
	callback, ok := abi.FuncExport(info, exportCallback)
	if !ok {
		return false, fmt.Errorf("exports %s without a callback: functions that switch stacks are not supported, "+
			"build with bindings that use callbacks", exportHandle)
	}
	one := []engine.ValueType{i32}
	if !abi.HasSignature(handle, one, one) || !abi.HasSignature(callback, []engine.ValueType{i32, i32, i32}, one) {
		return false, fmt.Errorf("exports %s or its callback with a wrong type", exportHandle)
	}
	return true, canonical.CheckAllocator(info)
}

// matchSync is Match for a guest whose handler returns its response.
func matchSync(info *engine.Info) (bool, error) {
	handle, ok := abi.FuncExport(info, exportSync)
	if !ok {
		return false, nil
	}
	one := []engine.ValueType{i32}
	if !abi.HasSignature(handle, one, one) {
		return false, fmt.Errorf("exports %s with a wrong type: the canonical ABI has it as (i32) -> (i32)", exportSync)
	}
	if post, ok := abi.FuncExport(info, exportPost); ok && !abi.HasSignature(post, one, nil) {
		return false, fmt.Errorf("exports %s with a wrong type: the canonical ABI has it as (i32) -> ()", exportPost)
	}
	return true, canonical.CheckAllocator(info)
}

// Functions implements abi.ABI.
func (ABI) Functions(info *engine.Info) (init, entries []string) {
	if abi.ExportsFunc(info, exportInit) {
		init = []string{exportInit}
	}
	return init, []string{
		entryHandle:    exportHandle,
		entryCallback:  exportCallback,
		entryAllocator: canonical.Allocator,
		entrySync:      exportSync,
		entryPost:      exportPost,
	}
}

// Bind implements abi.ABI.
func (ABI) Bind(in *engine.Instance, env *abi.Environment) { bind(in, env, entryAllocator) }

// bind is Bind with the index of the allocator.
func bind(in *engine.Instance, env *abi.Environment, allocator int) {
	c := &call{in: in, state: canonical.Bind(in, allocator)}
	c.state.Tasks = &c.tasks
	c.tasks.Begin(in, c.awaitWithin)
	c.answer.call = c
	c.stdout.Reset(env.Log, abi.LevelInfo)
	c.stderr.Reset(env.Log, abi.LevelError)
	c.older = wasip2.Bind(c.state, env, &c.stdout, &c.stderr)
	c.interfaces = wasip3.State{
		Environment: c.older.Environment(),
		Stdout:      &c.stdout,
		Stderr:      &c.stderr,
		Mounts:      c.older.Mounts(),
	}
	c.cloud = wasicloud.Bind(c.state, env)
	c.system.Use(env)
	c.system.Env = c.older.Variables()
	c.system.Begin(nil, &c.stdout, &c.stderr)
	in.Exchange, in.System, in.OnPause = c, &c.system, c.answer.flush
	handles := in.OnCapture
	in.OnCapture = func() { // an idle instance keeps no files, and no state of a mount
		c.tasks.End()
		handles()
		c.older.End()
		c.system.End()
	}
}
