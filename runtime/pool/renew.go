package pool

import (
	"slices"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// awaitCode renews the warm instances once the code of a module that is interpreted first is compiled. The pool is not
// unloaded before, and Close ends the wait.
func (p *Pool) awaitCode(module *engine.Module) {
	ended := module.Compiling()
	if ended == nil {
		return
	}
	p.mu.Lock()
	p.refills++
	p.mu.Unlock()
	go func() {
		select {
		case <-ended:
			p.renew()
		case <-p.open.Done():
		}
		p.mu.Lock()
		p.refills--
		p.unlockAndFinish()
	}()
}

// renew closes outdated warm instances and has one made anew. Instances in use end with their requests.
func (p *Pool) renew() {
	p.set.mu.Lock()
	p.mu.Lock()
	p.gatherLocked()
	var outdated []*engine.Instance
	p.warm = slices.DeleteFunc(p.warm, func(in *engine.Instance) bool {
		if in.Outdated() {
			outdated = append(outdated, in)
			return true
		}
		return false
	})
	p.mu.Unlock()
	for _, in := range outdated {
		p.close(in)
	}
	p.set.mu.Unlock()
	if len(outdated) > 0 {
		p.set.requestRefill(p)
	}
}

// renewIfOutdated renews the warm instances if one that has just become spare or warm was missed by the renewal, as the code
// was compiled at the same time. A request may have the instance already.
func (p *Pool) renewIfOutdated(in *engine.Instance) {
	if in.Outdated() {
		p.renew()
	}
}
