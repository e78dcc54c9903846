package pool

import (
	"context"
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// loading is a load of evicted code.
type loading struct {
	ended chan struct{} // closed at the end
	err   error         // set before; nil if waiting requests should try again
}

// loaded returns the module. If its code was evicted, the first request loads it for
// all waiting requests. The load continues if that request's client disconnects. The
// first request may use the instance created for the snapshot. If the load fails, so do all of them: each would repeat what
// may take a minute of a processor.
func (p *Pool) loaded(ctx context.Context, deadline time.Time) (m *engine.Module, in *engine.Instance, cold bool, err error) {
	for {
		p.mu.Lock()
		if p.module != nil {
			defer p.mu.Unlock()
			return p.module, nil, cold, nil
		}
		wait := p.loading
		if wait == nil {
			p.loading = &loading{ended: make(chan struct{})}
			p.mu.Unlock()
			m, in, err = p.reload(deadline)
			return m, in, true, err
		}
		p.mu.Unlock()
		cold = true
		timer := time.NewTimer(time.Until(deadline))
		select {
		case <-wait.ended:
			timer.Stop()
			if wait.err != nil {
				return nil, nil, true, wait.err
			}
		case <-timer.C:
			return nil, nil, true, context.DeadlineExceeded
		case <-ctx.Done():
			timer.Stop()
			return nil, nil, true, ctx.Err()
		}
	}
}

// reload loads evicted code again, unless the deadline passes before.
func (p *Pool) reload(deadline time.Time) (*engine.Module, *engine.Instance, error) {
	module, late, err := p.compile(deadline)
	if late {
		return nil, nil, context.DeadlineExceeded // the load continues and owns p.loading
	}
	var in *engine.Instance
	if err == nil {
		in, err = p.prepare(p.open, module)
	}
	if err := p.loadedAs(module, err); err != nil {
		return nil, nil, err
	}
	p.set.noteLoaded(p)
	p.awaitCode(module)
	p.set.requestTrim()
	return module, in, nil
}

// loadedAs ends a load. It returns its error.
func (p *Pool) loadedAs(module *engine.Module, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	err = p.endLoadLocked(err)
	if err == nil {
		p.setModuleLocked(module)
	}
	return err
}

// endLoadLocked ends a load for the waiting requests, and returns its error.
func (p *Pool) endLoadLocked(err error) error {
	if err != nil && p.closed {
		err = ErrClosed
	}
	p.loading.err = err
	close(p.loading.ended)
	p.loading = nil
	return err
}

// compile loads the module. If the deadline passes before, late is true and the load
// continues without the request, so that the next one finds the compiled code on disk.
// The module is not kept then, because only requests have slots.
func (p *Pool) compile(deadline time.Time) (_ *engine.Module, late bool, _ error) {
	type result struct {
		module *engine.Module
		err    error
	}
	loaded, left := make(chan result), make(chan struct{})
	p.mu.Lock()
	p.refills++
	p.mu.Unlock()
	go func() {
		module, err := p.load(p.open)
		select {
		case loaded <- result{module, err}:
			p.mu.Lock()
		case <-left:
			if err == nil {
				p.report(module.Close(context.Background()))
			}
			p.mu.Lock()
			_ = p.endLoadLocked(err) // its request has left
		}
		p.refills--
		p.unlockAndFinish()
	}()
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case r := <-loaded:
		return r.module, false, r.err
	case <-timer.C:
		close(left)
		return nil, true, nil
	}
}
