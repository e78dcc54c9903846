package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/runtime/compiler"
	"github.com/vespo-dev/vespo/runtime/internal/codecache"
)

// Mode selects the part of wazero that runs guests. Modules are rewritten for all of them in the same way.
type Mode uint8

// The modes.
const (
	// Compiled runs machine code only.
	Compiled Mode = iota
	// InterpretedFirst runs a module in the interpreter while its code is compiled in the background, and in machine code
	// afterwards. The interpreter reads the module in this process, with no limits on time and memory: it is for modules
	// that are trusted.
	InterpretedFirst
	// Interpreted runs the interpreter only. For tests.
	Interpreted
)

const (
	// mostInterpretedBytes is the size of the largest rewritten module for the interpreter. A larger one takes too much time
	// and memory there.
	mostInterpretedBytes = 8 << 20
	// interpretedFactor is the usual memory of a module in the interpreter divided by the size of the module.
	interpretedFactor = 30
	// slowTime is the time that a request may compute in the interpreter before the engine gives it up for later modules.
	slowTime = time.Second
	// headStart is how long a compilation in the background leaves the processors to the initialisation, at most.
	headStart = 200 * time.Millisecond
)

// errInterpreted is returned by an initialisation in the interpreter whose result does not count.
var errInterpreted = errors.New("engine: the interpreter is too slow for the initialisation, or has too small a stack")

// openInterpreter returns a runtime that interprets modules.
func openInterpreter(ctx context.Context) wazero.Runtime {
	raiseCallStackCeiling()
	return wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(compiler.Features).WithDebugInfoEnabled(false))
}

// interpretsFirst reports whether a module is interpreted until its code is compiled.
func (e *Engine) interpretsFirst(c *compilation) bool {
	return e.interpreter != nil && !e.slow.Load() && len(c.bin) <= mostInterpretedBytes
}

// interpretBeside has the interpreter run the module if its code is being compiled for another one. It reports whether it does.
func (m *Module) interpretBeside(ctx context.Context, d *Decoded) (bool, error) {
	if m.engine.interpreter == nil || !m.engine.compiling.taken(d.code) {
		return false, nil
	}
	c, err := m.rewrite(ctx, d)
	return err == nil && m.interpret(ctx, c), err
}

// interpret has the interpreter run the module, and compiles it in the background. It returns false if it does not: the
// module is too large, or the interpreter refuses it, and the compiler's reason counts.
func (m *Module) interpret(ctx context.Context, c *compilation) bool {
	e := m.engine
	if !e.interpretsFirst(c) {
		return false
	}
	loaded := e.timed("a module was loaded by the interpreter")
	compiled, err := e.interpreter.CompileModule(ctx, c.bin)
	loaded()
	if err != nil {
		return false
	}
	m.code = &sharedCode{
		knownCode:   knownCode{id: c.id, decoded: c.decoded, rewritten: c.rewritten},
		compiled:    compiled,
		sizeBytes:   interpretedFactor * int64(len(c.bin)),
		interpreted: true,
	}
	if e.code != nil {
		m.code.file = digestOf(c.bin)
	}
	e.interpretedBytes.Add(m.code.sizeBytes)
	m.compileLater(c)
	return true
}

// later is a compilation in the background. It belongs to its module, whose Close stops it and waits.
type later struct {
	cancel context.CancelFunc
	done   chan struct{} // closed at the end
	err    error         // set before done is closed

	begin    context.CancelFunc // begins the compilation before the end of headStart
	compiled context.Context    // ends when the code is used by new instances
	swapped  context.CancelFunc
}

func (m *Module) compileLater(c *compilation) {
	ctx, cancel := context.WithCancel(context.Background())
	l := &later{cancel: cancel, done: make(chan struct{})}
	l.compiled, l.swapped = context.WithCancel(context.Background())
	waiting, begin := context.WithTimeout(ctx, headStart)
	l.begin = begin
	m.later = l
	go func() {
		defer close(l.done)
		<-waiting.Done()
		var code *sharedCode
		if code, l.err = m.engine.compileOrShare(ctx, c); l.err == nil {
			m.swap(code)
			l.swapped()
		}
		if ctx.Err() == nil && m.opts.Compiled != nil {
			m.opts.Compiled(l.err)
		}
	}()
}

// prepared ends the head start of an initialisation.
func (m *Module) prepared() {
	if m.later != nil {
		m.later.begin()
	}
}

// compileOrShare is compileShared, unless an open module has the code.
func (e *Engine) compileOrShare(ctx context.Context, c *compilation) (*sharedCode, error) {
	release, err := e.compiling.acquire(ctx, c.id)
	if err != nil {
		return nil, err
	}
	defer release()
	if code := e.codes.acquire(c.id, c.from.size); code != nil {
		if e.code != nil {
			e.code.files.Use(codecache.Key{Module: c.from.sum, Code: code.file})
		}
		return code, nil
	}
	return e.compileShared(ctx, c)
}

// swap makes compiled code that of new instances. Instances in the interpreter go on.
func (m *Module) swap(code *sharedCode) {
	m.codeMu.Lock()
	before := m.code
	m.code = code
	m.codeMu.Unlock()
	m.engine.forgetInterpreted(before)
}

// forgetInterpreted closes the code of a module in the interpreter. The instances that run it keep what they need.
func (e *Engine) forgetInterpreted(code *sharedCode) {
	e.interpretedBytes.Add(-code.sizeBytes)
	if err := code.compiled.Close(context.Background()); err != nil {
		e.cfg.Log.Error("the code of a module cannot be closed", slog.Any("error", err))
	}
}

// stopCompiling ends a compilation in the background and waits for its end.
func (m *Module) stopCompiling() {
	if m.later != nil {
		m.later.cancel()
		<-m.later.done
	}
}

// releaseCode ends the use of the module's code.
func (m *Module) releaseCode(ctx context.Context) error {
	m.stopCompiling()
	if m.code.interpreted {
		m.engine.forgetInterpreted(m.code)
		return nil
	}
	return m.engine.codes.release(ctx, m.code)
}

// Compiling returns a channel that is closed when a compilation in the background has ended, well or not; nil if there is none.
func (m *Module) Compiling() <-chan struct{} {
	if m.later == nil {
		return nil
	}
	return m.later.done
}

// currentCode returns the code of new instances.
func (m *Module) currentCode() *sharedCode {
	m.codeMu.RLock()
	defer m.codeMu.RUnlock()
	return m.code
}

// Outdated reports whether the instance is interpreted although the module's code is compiled. It works, but slowly.
func (in *Instance) Outdated() bool {
	return in.code.interpreted && in.module.currentCode() != in.code
}

// noteSlow gives the interpreter up for later modules: this one computes too much for it.
func (e *Engine) noteSlow() {
	if !e.slow.Swap(true) {
		e.cfg.Log.Warn("the guest computes for long in the interpreter, which runs it until its code is compiled; later modules are compiled before they serve")
	}
}

// unlessCompiled returns a context that also ends when the module's code is compiled.
func (in *Instance) unlessCompiled(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if l := in.module.later; l != nil && in.code.interpreted {
		stop := context.AfterFunc(l.compiled, cancel)
		return ctx, func() { stop(); cancel() }
	}
	return ctx, cancel
}

// counts reports whether the outcome of an initialisation is that of the guest, and not of the interpreter.
func (in *Instance) counts(out Outcome) bool {
	late := out.Kind == Deadline || out.Kind == Canceled || out.Kind == StackOverflow
	return in.module.later == nil || !in.code.interpreted || !late
}

// compiledAgain closes the instance, whose initialisation in the interpreter does not count, and initialises a new one in
// its slot once the code is compiled.
func (in *Instance) compiledAgain(ctx context.Context) (*Instance, error) {
	m, slot := in.module, in.slot
	m.prepared()
	if err := in.leaveSlot(); err != nil {
		return nil, err
	}
	select {
	case <-m.later.done:
	case <-ctx.Done():
		m.engine.ReleaseSlot(slot)
		return nil, ctx.Err()
	}
	if m.later.err != nil {
		m.engine.ReleaseSlot(slot)
		return nil, m.later.err
	}
	again, err := m.newInstance(slot)
	if err != nil {
		return nil, err
	}
	if err := again.first(ctx); err != nil {
		return nil, errors.Join(err, again.Close())
	}
	return again, nil
}
