package pool

import (
	"context"
	"log/slog"
	"time"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// Shrink closes all warm instances. With evict it also releases the compiled code and
// the snapshot, if the pool is not in use. Later requests load them again.
func (p *Pool) Shrink(ctx context.Context, evict bool) error {
	p.set.mu.Lock()
	defer p.set.mu.Unlock()
	if !evict {
		p.closeWarm()
		return nil
	}
	_, err := p.unload(ctx)
	return err
}

// unload closes all warm instances, and releases the code and the snapshot if the pool is not in use. It reports whether it
// has. The set's lock must be held.
func (p *Pool) unload(ctx context.Context) (unloaded bool, err error) {
	p.closeWarm()
	p.mu.Lock()
	var module *engine.Module
	if p.inUse == 0 && p.refills == 0 && !p.closed && len(p.warm) == 0 && p.asleep == nil {
		module = p.module
		p.setModuleLocked(nil)
	}
	if module != nil {
		p.counts.Unloaded++
	}
	p.mu.Unlock()
	if module == nil {
		return false, nil
	}
	before := p.set.engine.LoadedBytes()
	err = module.Close(ctx)
	if unloaded := p.set.options.Unloaded; unloaded != nil {
		unloaded(max(0, before-p.set.engine.LoadedBytes()))
	}
	return true, err
}

// idleLoaded returns the time since when the pool is unused. It reports whether it has code, and whether that is not in use.
func (p *Pool) idleLoaded() (since time.Time, loaded, idle bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	idle = p.inUse == p.spareLocked() && p.refills == 0 // before the time: a request notes when it ended, and then makes its instance spare
	return p.unusedLocked(), p.module != nil && !p.closed, idle
}

// mapped reports whether the pool has code that is mapped.
func (p *Pool) mapped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.module != nil && p.module.Mapped()
}

// exceeded reports whether one of the limits is exceeded.
func (s *Set) exceeded() bool {
	return s.exceededByAny() || s.options.MappedBytes > 0 && s.engine.MappedBytes() > s.options.MappedBytes
}

// exceededByAny reports whether a limit is exceeded to which each pool contributes, and not only those with mapped code.
func (s *Set) exceededByAny() bool {
	o := &s.options
	return o.LoadedBytes > 0 && s.engine.LoadedBytes() > o.LoadedBytes || o.Loaded > 0 && s.engine.Modules() > o.Loaded
}

// requestTrim has the least recently used pools unloaded if a limit is exceeded. It does not block.
func (s *Set) requestTrim() {
	if !s.exceeded() {
		return
	}
	select {
	case s.trims <- struct{}{}:
	default:
	}
}

// lessInUse asks for another trim if the last one had to leave pools that were in use. Every end of a use calls it: of a request,
// of a refill, of a load.
func (s *Set) lessInUse() {
	if s.over.Load() {
		s.requestTrim()
	}
}

// trim unloads the least recently used pools until the rest is within the limits, or in use. Code that was loaded counts as a whole
// until it is measured here. It announces the excess before it looks at the pools: one that is given back after the look finds the
// announcement, and asks for another trim.
func (s *Set) trim(ctx context.Context) {
	if s.exceeded() {
		s.engine.MeasureCode(time.Now())
	}
	s.over.Store(s.exceeded())
	tried := make(map[*Pool]bool)
	unloaded, before := 0, s.engine.LoadedBytes()
	for ctx.Err() == nil && s.exceeded() {
		p := s.coldest(tried)
		if p == nil {
			break
		}
		tried[p] = true
		if (s.exceededByAny() || p.mapped()) && s.unload(ctx, p) {
			unloaded++
		}
	}
	if !s.exceeded() {
		s.over.Store(false) // a later load asks by itself
	}
	if unloaded > 0 {
		s.log.Debug("the least recently used code was released, as all exceeded its limit", slog.Int("modules", unloaded),
			slog.Int64("bytes", max(0, before-s.engine.LoadedBytes())), slog.Int64("limit", s.options.LoadedBytes), slog.Int("modules_limit", s.options.Loaded))
	}
}

func (s *Set) unload(ctx context.Context, p *Pool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	unloaded, err := p.unload(ctx)
	p.report(err)
	if unloaded {
		s.trimmed++
	}
	return unloaded
}

// coldest returns the least recently used pool that can be unloaded and was not tried; nil if there is none.
func (s *Set) coldest(tried map[*Pool]bool) *Pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded.coldest(tried)
}
