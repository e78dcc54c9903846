package embedded

import (
	"cmp"
	"container/heap"
	"time"
)

// absent is the place of an entry that is not in the queue.
const absent = -1

// queue has events by the time at which they are due, and those due at the same time by their acceptance.
type queue struct{ all entries }

func (q *queue) add(e *entry) { heap.Push(&q.all, e) }

func (q *queue) remove(e *entry) {
	if e.at != absent {
		heap.Remove(&q.all, e.at)
	}
}

// takeDue removes the first events that are due, at most so many. If there is none, wait is the time until one is.
func (q *queue) takeDue(now time.Time, most int) (due []*entry, wait time.Duration) {
	for len(due) < most && len(q.all) > 0 && !q.all[0].due.After(now) {
		e, _ := heap.Pop(&q.all).(*entry)
		due = append(due, e)
	}
	if len(due) > 0 {
		return due, 0
	}
	if len(q.all) == 0 {
		return nil, idleWait
	}
	return nil, min(idleWait, q.all[0].due.Sub(now))
}

// entries implements heap.Interface.
type entries []*entry

func (h entries) Len() int { return len(h) }

func (h entries) Less(i, j int) bool {
	return cmp.Or(h[i].due.Compare(h[j].due), h[i].Accepted.Compare(h[j].Accepted)) < 0
}

func (h entries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *entries) Push(x any) {
	e, _ := x.(*entry)
	e.at = len(*h)
	*h = append(*h, e)
}

// Pop implements heap.Interface.
func (h *entries) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	e.at = absent
	return e
}
