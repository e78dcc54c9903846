package wasihttp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/canonical"
	"github.com/vespo-dev/vespo/runtime/abi/wasicloud"
	"github.com/vespo-dev/vespo/runtime/abi/wasip1"
	"github.com/vespo-dev/vespo/runtime/abi/wasip2"
	"github.com/vespo-dev/vespo/runtime/engine"
)

const (
	interfaceHandler = "wasi:http/incoming-handler"

	exportHandle = interfaceHandler + "@0.2#handle"
	exportPost   = "cabi_post_" + exportHandle
	exportRun    = "wasi:cli/run@0.2#run"
	exportInit   = "_initialize"
)

// Indexes of the entries that the engine calls.
const (
	entryHandle = iota
	entryPost
	entryAllocator
)

// ABI implements abi.Server. The zero value is ready.
type ABI struct{}

// Traits implements abi.ABI.
func (ABI) Traits() abi.Traits {
	return abi.Traits{
		Name:    "wasi-http",
		Export:  interfaceHandler,
		Guest:   "a component of WASI 0.2",
		Build:   "with the bindings of go.bytecodealliance.org/wasi as a component",
		Lingers: true,
	}
}

// HostModules implements abi.ABI.
func (ABI) HostModules() []engine.HostModule {
	all := append(wasip2.HostModules(), typesModule(), outgoingModule(), wasip1.HostModule())
	return append(all, wasicloud.HostModules()...)
}

// Match implements abi.ABI.
func (ABI) Match(info *engine.Info) (bool, error) {
	handle, ok := abi.FuncExport(info, exportHandle)
	switch {
	case !ok && abi.ExportsFunc(info, exportRun):
		return false, fmt.Errorf("exports wasi:cli/run: a component that is a command serves no requests: export %s", interfaceHandler)
	case !ok && abi.Imports(info, typesName):
		return false, fmt.Errorf("imports from wasi:http/types but does not export %s", interfaceHandler)
	case !ok:
		return false, nil
	case !abi.HasSignature(handle, []engine.ValueType{engine.I32, engine.I32}, nil):
		return false, fmt.Errorf("exports %s with a wrong type: the interface has it as (i32, i32) -> ()", exportHandle)
	}
	if post, ok := abi.FuncExport(info, exportPost); ok && !abi.HasSignature(post, nil, nil) {
		return false, fmt.Errorf("exports %s with a wrong type: the canonical ABI has it as () -> ()", exportPost)
	}
	return true, canonical.CheckAllocator(info)
}

// Functions implements abi.ABI.
func (ABI) Functions(info *engine.Info) (init, entries []string) {
	if abi.ExportsFunc(info, exportInit) {
		init = []string{exportInit}
	}
	return init, []string{entryHandle: exportHandle, entryPost: exportPost, entryAllocator: canonical.Allocator}
}

// call is the state of one instance's current exchange. It lives as long as the instance and is reset between requests.
type call struct {
	in     *engine.Instance // immutable
	state  *canonical.State // immutable
	system wasip1.State     // for guests that import preview 1
	wasi   *wasip2.State    // immutable
	cloud  *wasicloud.State // immutable
	stdout abi.Lines
	stderr abi.Lines

	x          *abi.Exchange // nil outside of a request
	fieldBytes int           // size of all fields that the guest holds
	// pendingBytes is the size of bodies whose messages are not sent.
	pendingBytes int
	fetches      []*fetch // all of the request; some may be closed
	answer       answer
	stack        [2]uint64
}

// Bind implements abi.ABI.
func (ABI) Bind(in *engine.Instance, env *abi.Environment) { bind(in, env, entryAllocator) }

func bind(in *engine.Instance, env *abi.Environment, allocator int) {
	c := &call{in: in, state: canonical.Bind(in, allocator)}
	c.answer.call = c
	c.stdout.Reset(env.Log, abi.LevelInfo)
	c.stderr.Reset(env.Log, abi.LevelError)
	c.wasi = wasip2.Bind(c.state, env, &c.stdout, &c.stderr)
	c.cloud = wasicloud.Bind(c.state, env)
	c.system.Use(env)
	c.system.Env = c.wasi.Variables()
	c.system.Begin(nil, &c.stdout, &c.stderr)
	in.Exchange, in.System, in.OnPause = c, &c.system, c.answer.flush
	handles := in.OnCapture
	in.OnCapture = func() { // an idle instance keeps no files, and no state of a mount
		handles()
		c.wasi.End()
		c.system.End()
	}
}

// Serve implements abi.Server.
func (ABI) Serve(in *engine.Instance, x *abi.Exchange) engine.Outcome {
	c := in.Exchange.(*call)
	c.begin(x)
	defer c.end()
	out := canonical.Catch(func() { // the guest may hold all handles since its initialisation
		c.stack = [2]uint64{c.add(&incomingRequest{}, 0), c.add(&outparam{}, 0)}
	})
	if out.Kind == engine.OK {
		out = in.Call(x.Context, x.Deadline, entryHandle, c.stack[:])
	}
	if out.Kind == engine.OK && in.HasEntry(entryPost) {
		out = in.Call(x.Context, x.Deadline, entryPost, c.stack[:])
	}
	c.stdout.Flush()
	c.stderr.Flush()
	if out.Clean() { // a guest may call exit after it has answered
		out = c.answer.outcome(out, x.Method)
	}
	return c.stderr.Panicked(c.stdout.Panicked(out))
}

func (c *call) begin(x *abi.Exchange) {
	c.x = x
	c.answer.begin(x.Response)
	c.stdout.Reset(x.Log, abi.LevelInfo)
	c.stderr.Reset(x.Log, abi.LevelError)
	c.system.Again()
	c.state.Begin()
	c.cloud.Begin(&x.Invocation)
}

func (c *call) end() {
	c.state.End()
	for _, f := range c.fetches { // a trap can end the guest while a body belongs to nothing
		f.close()
	}
	clear(c.fetches)
	c.fetches = c.fetches[:0]
	c.wasi.End()
	c.cloud.End()
	c.system.End()
	c.answer.begin(nil)
	c.x, c.fieldBytes, c.pendingBytes = nil, 0, 0
}

// of returns the call of an instance for a host function.
func of(s *canonical.State) *call { return s.In.Exchange.(*call) }

// exchange returns the current exchange. There is none during the initialisation.
func (c *call) exchange() *abi.Exchange {
	if c.x == nil {
		canonical.Trap("there is no request while the guest initialises")
	}
	return c.x
}

// define returns a host function.
func define(name string, result engine.ValueType, f func(c *call, p []uint64), params ...engine.ValueType) engine.HostFunc {
	return canonical.Func(name, result, func(s *canonical.State, p []uint64) { f(of(s), p) }, params...)
}

const (
	i32 = engine.I32
	i64 = engine.I64

	none engine.ValueType = 0 // the result of a function that returns nothing, or by its last parameter
)

// maxTextBytes is the longest method, path, scheme or authority of a guest.
const maxTextBytes = 64 << 10

// lookUp returns the resource of a handle that is borrowed.
func lookUp[R canonical.Resource](c *call, v uint64) R {
	return canonical.Get[R](&c.state.Handles, v)
}

// take returns the resource of a handle that the guest passes on.
func take[R canonical.Resource](c *call, v uint64) R {
	return canonical.Take[R](&c.state.Handles, v)
}

// add returns a new handle. A parent of 0 is none.
func (c *call) add(r canonical.Resource, parent uint64) uint64 {
	return uint64(c.state.Handles.Add(r, canonical.Handle(parent)))
}

// text reads a string of the guest.
func (c *call) text(at, length uint64) string {
	text, ok := c.state.Text(at, length, maxTextBytes)
	if !ok {
		canonical.Trap("a string of the guest is longer than %d bytes", maxTextBytes)
	}
	return text
}

// putOption writes an option<string>.
func (c *call) putOption(m []byte, text string) {
	m[0] = 0
	if text != "" {
		c.state.PutString(m, 4, text)
		m[0] = 1
	}
}

// putOwn writes a result<own<T>>: a handle, or an error without a payload.
func (c *call) putOwn(m []byte, make func() canonical.Resource, parent uint64, ok bool) {
	if m[0] = 1; ok {
		canonical.PutUint32(m, 4, uint32(c.add(make(), parent)))
		m[0] = 0
	}
}

// unusable returns the outcome of a guest whose response cannot be sent.
func unusable(format string, args ...any) engine.Outcome {
	return engine.Outcome{Kind: engine.BadAnswer, Err: engine.Unusable{Reason: fmt.Sprintf(format, args...)}}
}

// utf8Text returns text as UTF-8. Clients can send anything in a header.
func utf8Text(text string) string { return strings.ToValidUTF8(text, "\ufffd") }

// sent handles the error of a write to the client.
func (c *call) sent(err error) {
	if err == nil {
		return
	}
	var reason engine.Unusable // on the heap
	switch {
	case errors.As(err, &reason):
		panic(reason)
	default:
		c.in.GiveUp(err)
	}
}
