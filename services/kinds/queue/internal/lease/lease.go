// Package lease is the state machine of a queue whose entries are taken by
// workers that may die. It is pure: it has no clock, lock or randomness.
//
//	Add ──▶ Waiting ──Take──▶ Leased ──Answer──▶ Answered
//	           ▲  │             │ │
//	           │  │             │ └─ the lease ends, no further delivery ─▶ Expired
//	           │  └─ deadline ──┼──────────────────────────────────────────▶ Expired
//	           └─ the lease ends, or GiveBack ─┘
//
//	Waiting, Leased ──Leave──▶ Gone
//
// Every entry ends once, as Answered, Expired or Gone. Each lease has its own id.
// Once the lease has ended its id is refused, even if the entry is leased again.
package lease

import (
	"container/heap"
	"errors"
	"time"
)

// State is the state of an entry.
type State int

// States. The last three are final.
const (
	Waiting State = iota
	Leased
	Answered
	Expired
	Gone
)

// String implements fmt.Stringer.
func (s State) String() string {
	switch s {
	case Waiting:
		return "waiting"
	case Leased:
		return "leased"
	case Answered:
		return "answered"
	case Expired:
		return "expired"
	case Gone:
		return "gone"
	}
	return "unknown"
}

// MaxDeliveries is how often an entry is handed out at most. It ends requests that kill every worker.
const MaxDeliveries = 5

// ErrFull is returned by Add if the queue has reached its depth.
var ErrFull = errors.New("the queue is full")

// Terms are the constant properties of an entry.
type Terms struct {
	Deadline  time.Time     // when an unanswered entry expires; no lease lasts longer
	Lease     time.Duration // duration of a lease
	Redeliver bool          // hand the entry out again after its lease ends
}

// Entry is one entry of a queue. The methods of the queue change its fields, so reads need the same lock.
type Entry struct {
	Terms
	Value      any // owned by the caller
	State      State
	LeaseID    string    // of the current lease; empty if there is none
	LeaseEnd   time.Time // of the current lease
	Deliveries int       // number of times it was taken

	number uint64 // of its coming
	place  int    // in Queue.waiting; -1 if absent
	index  int    // in Queue.due; -1 if absent
}

// due returns when the entry expires or its lease ends.
func (e *Entry) due() time.Time {
	if e.State == Leased {
		return e.LeaseEnd
	}
	return e.Deadline
}

// Queue holds the unfinished entries. The caller supplies the
// time, which must not go back. It is not safe for concurrent use.
type Queue struct {
	ended   func(*Entry)      // immutable
	came    uint64            // number of the last entry
	waiting order             // next first
	leased  map[string]*Entry // by LeaseID
	due     order             // all entries, by the time when they are due
}

// New returns an empty queue. ended is called once for each
// entry, by the method that ends it. It must not call the queue.
func New(ended func(*Entry)) *Queue {
	return &Queue{
		ended:  ended,
		leased: make(map[string]*Entry),
		waiting: order{
			less:  func(a, b *Entry) bool { return a.number < b.number },
			place: func(e *Entry) *int { return &e.place },
		},
		due: order{
			less:  func(a, b *Entry) bool { return a.due().Before(b.due()) },
			place: func(e *Entry) *int { return &e.index },
		},
	}
}

// Waiting returns the number of waiting entries.
func (q *Queue) Waiting() int { return q.waiting.Len() }

// First returns the entry that is taken next, nil if none is waiting.
func (q *Queue) First() *Entry {
	if q.waiting.Len() == 0 {
		return nil
	}
	return q.waiting.entries[0]
}

// Leased returns the number of leased entries.
func (q *Queue) Leased() int { return len(q.leased) }

// Next returns when Advance next has something to do. Zero means never.
func (q *Queue) Next() time.Time {
	if q.due.Len() == 0 {
		return time.Time{}
	}
	return q.due.entries[0].due()
}

// Add appends an entry. It returns ErrFull if depth entries are waiting.
func (q *Queue) Add(now time.Time, depth int, t Terms, value any) (*Entry, error) {
	q.Advance(now)
	if q.waiting.Len() >= depth {
		return nil, ErrFull
	}
	q.came++
	e := &Entry{Terms: t, Value: value, number: q.came}
	heap.Push(&q.waiting, e)
	heap.Push(&q.due, e)
	return e, nil
}

// Restore appends an entry of an earlier queue, regardless of depth. The entry is leased if it has a LeaseID.
func (q *Queue) Restore(e Entry) *Entry {
	q.came++
	restored := &e
	restored.State, restored.place, restored.number = Waiting, -1, q.came
	if e.LeaseID != "" {
		restored.State = Leased
		q.leased[e.LeaseID] = restored
	} else {
		heap.Push(&q.waiting, restored)
	}
	heap.Push(&q.due, restored)
	return restored
}

// Take leases the next entry. It returns nil if none is waiting. id must never have been used before.
func (q *Queue) Take(now time.Time, id string) *Entry {
	q.Advance(now)
	if q.waiting.Len() == 0 {
		return nil
	}
	e := heap.Pop(&q.waiting).(*Entry)
	e.State, e.LeaseID = Leased, id
	e.Deliveries++
	e.LeaseEnd = now.Add(e.Lease)
	if e.LeaseEnd.After(e.Deadline) {
		e.LeaseEnd = e.Deadline
	}
	q.leased[id] = e
	heap.Fix(&q.due, e.index)
	return e
}

// GiveBack undoes a Take whose entry could not be delivered. It reports whether the lease still existed.
func (q *Queue) GiveBack(now time.Time, id string) bool {
	q.Advance(now)
	e := q.leased[id]
	if e == nil {
		return false
	}
	e.Deliveries--
	q.requeue(e)
	return true
}

// Find returns the entry with this lease. It returns nil if there is none or the lease has ended.
func (q *Queue) Find(now time.Time, id string) *Entry {
	q.Advance(now)
	return q.leased[id]
}

// Answer ends the entry with this lease and returns it.
// It returns nil if there is none or the lease has ended.
func (q *Queue) Answer(now time.Time, id string) *Entry {
	q.Advance(now)
	e := q.leased[id]
	if e != nil {
		q.end(e, Answered)
	}
	return e
}

// Leave ends an entry whose answer is no longer needed. It does nothing if the entry has ended.
func (q *Queue) Leave(e *Entry) {
	if e.State == Waiting || e.State == Leased {
		q.end(e, Gone)
	}
}

// Advance ends the leases and entries that are due. It reports whether entries returned to the waiting ones.
func (q *Queue) Advance(now time.Time) (more bool) {
	for q.due.Len() > 0 && !q.due.entries[0].due().After(now) {
		e := q.due.entries[0]
		if e.State == Leased && e.Redeliver && e.Deliveries < MaxDeliveries && e.Deadline.After(now) {
			q.requeue(e)
			more = true
			continue
		}
		q.end(e, Expired)
	}
	return more
}

// requeue ends the lease of an entry, which takes its place in the order of coming again.
func (q *Queue) requeue(e *Entry) {
	delete(q.leased, e.LeaseID)
	e.State, e.LeaseID, e.LeaseEnd = Waiting, "", time.Time{}
	heap.Push(&q.waiting, e)
	heap.Fix(&q.due, e.index)
}

// end removes an entry and calls ended.
func (q *Queue) end(e *Entry, s State) {
	if e.place >= 0 {
		heap.Remove(&q.waiting, e.place)
	}
	delete(q.leased, e.LeaseID)
	heap.Remove(&q.due, e.index)
	e.State = s
	q.ended(e)
}

// order is a heap of entries. It implements heap.Interface.
type order struct {
	entries []*Entry
	less    func(a, b *Entry) bool // immutable
	place   func(*Entry) *int      // immutable; where an entry has its place in this order, -1 if absent
}

func (o *order) Len() int           { return len(o.entries) }
func (o *order) Less(i, j int) bool { return o.less(o.entries[i], o.entries[j]) }

func (o *order) Swap(i, j int) {
	o.entries[i], o.entries[j] = o.entries[j], o.entries[i]
	*o.place(o.entries[i]), *o.place(o.entries[j]) = i, j
}

// Push implements heap.Interface.
func (o *order) Push(x any) {
	e := x.(*Entry)
	*o.place(e) = len(o.entries)
	o.entries = append(o.entries, e)
}

// Pop implements heap.Interface.
func (o *order) Pop() any {
	last := len(o.entries) - 1
	e := o.entries[last]
	o.entries[last] = nil
	o.entries = o.entries[:last]
	*o.place(e) = -1
	return e
}
