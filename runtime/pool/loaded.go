package pool

import (
	"container/heap"
	"time"
)

// coldHeap orders pools by their last use, least recently used first. Uses are not reported to it, since they are frequent:
// it looks at a pool only when that is the next one. Set look before use.
type coldHeap struct {
	entries coldPools
	of      map[*Pool]*coldPool
	look    func(*Pool) (since time.Time, held, idle bool) // since when it is unused; a pool that is not held leaves the heap; only idle ones are found
}

// coldPool is a pool as it was seen last.
type coldPool struct {
	pool  *Pool
	since time.Time // since when it was unused; it may have been used afterwards
	index int       // in entries
}

func newColdHeap(look func(*Pool) (since time.Time, held, idle bool)) coldHeap {
	return coldHeap{of: make(map[*Pool]*coldPool), look: look}
}

// put adds a pool.
func (h *coldHeap) put(p *Pool) {
	if h.of[p] == nil {
		since, _, _ := h.look(p)
		e := &coldPool{pool: p, since: since}
		h.of[p] = e
		heap.Push(&h.entries, e)
	}
}

// remove removes a pool, which may be missing.
func (h *coldHeap) remove(p *Pool) {
	if e := h.of[p]; e != nil {
		delete(h.of, p)
		heap.Remove(&h.entries, e.index)
	}
}

// coldest returns the least recently used pool that is idle, except those in tried; nil if there is none.
func (h *coldHeap) coldest(tried map[*Pool]bool) (coldest *Pool) {
	var kept []*coldPool
	for coldest == nil && len(h.entries) > 0 {
		e := h.entries[0]
		since, held, idle := h.look(e.pool)
		switch {
		case !held:
			h.remove(e.pool)
		case since.After(e.since):
			e.since = since
			heap.Fix(&h.entries, 0)
		case !idle || tried[e.pool]:
			heap.Pop(&h.entries)
			kept = append(kept, e)
		default:
			coldest = e.pool
		}
	}
	for _, e := range kept {
		heap.Push(&h.entries, e)
	}
	return coldest
}

// coldPools implements heap.Interface.
type coldPools []*coldPool

func (l coldPools) Len() int           { return len(l) }
func (l coldPools) Less(i, j int) bool { return l[i].since.Before(l[j].since) }

func (l coldPools) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].index, l[j].index = i, j
}

func (l *coldPools) Push(x any) {
	e := x.(*coldPool)
	e.index = len(*l)
	*l = append(*l, e)
}

func (l *coldPools) Pop() any {
	last := len(*l) - 1
	e := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return e
}
