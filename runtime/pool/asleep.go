package pool

import (
	"container/list"
	"sync"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// maxAsleepBytes limits the memory of instances that are asleep; and asleepShare their share of Options.LoadedBytes.
const (
	maxAsleepBytes = 64 << 20
	asleepShare    = 8
)

// asleepBytes returns the limit on the memory of all instances that are asleep.
func (o *Options) asleepBytes() int64 {
	if o.LoadedBytes <= 0 {
		return maxAsleepBytes
	}
	return min(maxAsleepBytes, o.LoadedBytes/asleepShare)
}

// sleepers has the pools with an instance that is asleep. Its lock is the last one.
type sleepers struct {
	limitBytes int64 // immutable

	mu    sync.Mutex
	bytes int64                   // guarded by mu; of all instances
	order list.List               // guarded by mu; of sleeper; asleep for longest first
	of    map[*Pool]*list.Element // guarded by mu
}

type sleeper struct {
	pool  *Pool
	bytes int64
}

// put adds a pool. It removes others if all exceed the limit, and returns them: the caller must close their instances. It reports
// false for an instance that exceeds it alone.
func (s *sleepers) put(p *Pool, bytes int64) (displaced []*Pool, ok bool) {
	if bytes > s.limitBytes {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[p] = s.order.PushBack(sleeper{p, bytes})
	s.bytes += bytes
	for s.bytes > s.limitBytes {
		oldest := s.order.Front().Value.(sleeper).pool
		s.removeLocked(oldest)
		displaced = append(displaced, oldest)
	}
	return displaced, true
}

// remove removes a pool, which may be missing.
func (s *sleepers) remove(p *Pool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removeLocked(p)
}

func (s *sleepers) removeLocked(p *Pool) {
	if e := s.of[p]; e != nil {
		s.bytes -= s.order.Remove(e).(sleeper).bytes
		delete(s.of, p)
	}
}

// layDown makes an instance without a slot the one of the pool that is asleep, unless there is one. It returns pools that must lose theirs.
func (p *Pool) layDown(in *engine.Instance, bytes int64) (displaced []*Pool, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asleep != nil || p.closed {
		return nil, false
	}
	if displaced, ok = p.set.asleep.put(p, bytes); ok {
		p.asleep = in
	}
	return displaced, ok
}

// takeAsleep takes the instance that is asleep; nil: there is none.
func (p *Pool) takeAsleep() *engine.Instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.takeAsleepLocked()
}

func (p *Pool) takeAsleepLocked() *engine.Instance {
	in := p.asleep
	if in != nil {
		p.asleep = nil
		p.set.asleep.remove(p)
	}
	return in
}

// closeAsleep closes the instance that is asleep.
func (p *Pool) closeAsleep() {
	p.mu.Lock()
	in := p.takeAsleepLocked()
	if in == nil {
		p.mu.Unlock()
		return
	}
	p.inUse++ // else the module could be closed first
	p.mu.Unlock()
	p.close(in)
	p.mu.Lock()
	p.inUse--
	p.unlockAndFinish()
}
