package engine

import (
	"context"
	"errors"

	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// Compile checks, rewrites and compiles a module. If the module is at fault, the error is a
// *ModuleError. The caller must close the Module. The decoded form is not used beyond the rewriting. If an open module
// has the same code, the new one shares it. Modules with the same code are compiled one after the other.
func (e *Engine) Compile(ctx context.Context, d *Decoded, o ModuleOptions) (*Module, error) {
	m := e.newModule(d, o)
	ok, err := m.interpretBeside(ctx, d)
	if err == nil && !ok {
		err = m.open(ctx, d)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	e.modules.Add(1)
	return m, nil
}

// open shares, loads or compiles the code of the module. It waits for its turn to compile without blocking others with the same
// code: they can have a turn already.
func (m *Module) open(ctx context.Context, d *Decoded) error {
	e := m.engine
	defer d.turn.leave()
	release, err := e.compiling.acquire(ctx, d.code)
	if err != nil {
		return err
	}
	ok, err := m.load(ctx, d)
	if !ok && err == nil && e.Warm(ctx, d.sum) {
		ok, err = m.load(ctx, d)
	}
	release()
	if ok || err != nil {
		return err
	}
	if d.turn == nil {
		turn, err := e.wholes.enter(ctx)
		if err != nil {
			return err
		}
		defer turn.leave()
	}
	if release, err = e.compiling.acquire(ctx, d.code); err != nil {
		return err
	}
	defer release()
	if ok, err = m.load(ctx, d); ok || err != nil { // another one has compiled it meanwhile
		return err
	}
	return m.compile(ctx, d)
}

// load shares or loads the code of the module. It returns false if neither is possible. No other goroutine may compile the same code.
func (m *Module) load(ctx context.Context, d *Decoded) (ok bool, err error) {
	code := m.engine.codes.acquire(d.code, d.size)
	if code == nil {
		code, err = m.engine.reload(d)
	}
	if code == nil || err != nil {
		return false, err
	}
	m.code = code
	return true, m.share(ctx, d)
}

func (e *Engine) newModule(d *Decoded, o ModuleOptions) *Module {
	e.decoded.drop(d.sum)
	m := &Module{
		engine:   e,
		opts:     o,
		sum:      d.sum,
		separate: d.separate,
		data:     d.separateData,
		limit:    uint64(e.cfg.SlotBytes),
		outline:  e.outline(d),
	}
	if o.MemoryBytes > 0 {
		m.limit = min(m.limit, uint64(o.MemoryBytes)/PageBytes*PageBytes)
	}
	return m
}

// share makes m a module with the code m.code of another one. It releases the code if m cannot be served.
func (m *Module) share(ctx context.Context, d *Decoded) error {
	m.info = d.origin(infoOf(d.separate, m.code.rewritten))
	if err := m.check(); err != nil {
		return errors.Join(err, m.engine.codes.release(ctx, m.code))
	}
	if m.engine.code != nil {
		m.engine.code.files.Use(codecache.Key{Module: d.sum, Code: m.code.file})
	}
	return nil
}

// compile rewrites and compiles the module, for others too, or has the interpreter run it first.
func (m *Module) compile(ctx context.Context, d *Decoded) error {
	c, err := m.rewrite(ctx, d)
	if err != nil || m.interpret(ctx, c) {
		return err
	}
	m.code, err = m.engine.compileShared(ctx, c)
	return err
}

// rewrite rewrites and checks the module.
func (m *Module) rewrite(ctx context.Context, d *Decoded) (*compilation, error) {
	e := m.engine
	d, err := d.whole()
	if err != nil {
		return nil, err
	}
	m.separate, m.data = d.separate, d.separateData
	module, err := d.read()
	if err != nil {
		return nil, err
	}
	options := e.rewriteOptions()
	options.Interrupted = ctx.Err
	rewrote := e.timed("a module was rewritten")
	rewritten, info, err := module.Rewrite(options)
	rewrote()
	if err != nil {
		return nil, refused(err)
	}
	m.info = d.origin(info)
	if err := m.check(); err != nil {
		return nil, err
	}
	if err := e.types.admit(info.Types, maxTypeBytes); err != nil {
		return nil, err
	}
	types := info.Types
	info.Types = nil
	return &compilation{
		from:      source{d.sum, d.size},
		id:        d.code,
		decoded:   d.info,
		rewritten: info,
		types:     types,
		bin:       rewritten,
	}, nil
}

// compilation is a rewritten module to be compiled.
type compilation struct {
	from      source
	id        codeID
	decoded   *Info
	rewritten *Info
	types     []rewrite.Signature
	bin       []byte
}

// compileShared compiles a module, for others with the same code too. No other goroutine may compile that code.
func (e *Engine) compileShared(ctx context.Context, c *compilation) (*sharedCode, error) {
	defer e.timed("a module was compiled")()
	code, err := e.compileModule(ctx, c.from, c.bin)
	if err != nil {
		return nil, err
	}
	code.id, code.decoded, code.rewritten = c.id, c.decoded, c.rewritten
	code.leastBytes = max(code.leastBytes, c.rewritten.LeastBytes)
	e.codes.add(code)
	e.describe(code, c.types)
	return code, nil
}
