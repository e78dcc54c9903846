package pool

import (
	"container/heap"
	"time"
)

// loadedPool is a pool with code, as it was seen last.
type loadedPool struct {
	pool  *Pool
	since time.Time // since when it was unused; it may have been used afterwards
}

// loadedHeap orders pools by their last use, least recently used first. Uses are not reported to it, since they are frequent:
// it looks at a pool only when that is the next to be unloaded. The zero loadedHeap is ready for use.
type loadedHeap struct {
	entries loadedPools
	has     map[*Pool]bool // the pools of entries
}

// put adds a pool.
func (h *loadedHeap) put(p *Pool) {
	if h.has == nil {
		h.has = make(map[*Pool]bool)
	}
	if !h.has[p] {
		h.has[p] = true
		since, _, _ := p.idleLoaded()
		heap.Push(&h.entries, loadedPool{p, since})
	}
}

// coldest returns the least recently used pool with code that is not in use, except those in tried; nil if there is none.
func (h *loadedHeap) coldest(tried map[*Pool]bool) (coldest *Pool) {
	var kept loadedPools
	for coldest == nil && len(h.entries) > 0 {
		e := heap.Pop(&h.entries).(loadedPool)
		since, loaded, idle := e.pool.idleLoaded()
		switch {
		case !loaded:
			delete(h.has, e.pool)
		case !idle || tried[e.pool]:
			kept = append(kept, e)
		case since.After(e.since):
			heap.Push(&h.entries, loadedPool{e.pool, since})
		default:
			coldest = e.pool
			kept = append(kept, e)
		}
	}
	for _, e := range kept {
		heap.Push(&h.entries, e)
	}
	return coldest
}

// loadedPools implements heap.Interface.
type loadedPools []loadedPool

func (l loadedPools) Len() int           { return len(l) }
func (l loadedPools) Less(i, j int) bool { return l[i].since.Before(l[j].since) }
func (l loadedPools) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *loadedPools) Push(x any)        { *l = append(*l, x.(loadedPool)) }

func (l *loadedPools) Pop() any {
	last := len(*l) - 1
	e := (*l)[last]
	(*l)[last] = loadedPool{}
	*l = (*l)[:last]
	return e
}
