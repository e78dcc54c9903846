// Package lease is the state machine of a queue whose entries are taken by workers that may die: pure, without clock, lock or
// randomness.
//
//	Add ──▶ Waiting ──Take──▶ Leased ──Answer──▶ Answered
//	           ▲  │             │ │
//	           │  │             │ └─ the lease ends, no further delivery ─▶ Expired
//	           │  └─ deadline ──┼──────────────────────────────────────────▶ Expired
//	           └─ the lease ends, or GiveBack ─┘
//
//	Waiting, Leased ──Leave──▶ Gone
//
// Every entry ends once, in Answered, Expired or Gone. A lease has an id of its own: what comes with the id of a lease that has ended is
// refused, even if the entry is leased anew.
package lease

import (
	"container/heap"
	"container/list"
	"errors"
	"time"
)

// State is where an entry is.
type State int

// The states. The last three are ends.
const (
	Waiting State = iota
	Leased
	Answered
	Expired
	Gone
)

// String gives the state as a word.
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

// MaxDeliveries is how often an entry is handed out at most: what kills every worker that takes it must end.
const MaxDeliveries = 5

// ErrFull says that as many entries wait as may.
var ErrFull = errors.New("the queue is full")

// Terms are what holds for an entry, from Add on.
type Terms struct {
	Deadline  time.Time     // when it expires if it is not answered; a lease does not last longer
	Lease     time.Duration // how long who takes it has
	Redeliver bool          // hand it out again when its lease has ended
}

// Entry is one entry of a queue. Its fields change with the calls of the queue, and are to be read under the same lock.
type Entry struct {
	Terms
	Value      any // the owner's
	State      State
	LeaseID    string    // of the current lease; empty while there is none
	LeaseEnd   time.Time // of the current lease
	Deliveries int       // how often it was taken

	place *list.Element // in Queue.waiting; nil if not there
	index int           // in Queue.due; -1 if not there
}

// due is when something happens to the entry by itself.
func (e *Entry) due() time.Time {
	if e.State == Leased {
		return e.LeaseEnd
	}
	return e.Deadline
}

// Queue is the entries that have not ended. Time is what its callers say, and must not go back. It is not safe for concurrent use.
type Queue struct {
	ended   func(*Entry)      // immutable
	waiting *list.List        // of *Entry, the next first
	leased  map[string]*Entry // by LeaseID
	due     schedule          // all entries
}

// New makes an empty queue. ended is called once for each entry, in the call that ends it; it must not call the queue.
func New(ended func(*Entry)) *Queue {
	return &Queue{ended: ended, waiting: list.New(), leased: make(map[string]*Entry)}
}

// Waiting tells how many entries wait to be taken.
func (q *Queue) Waiting() int { return q.waiting.Len() }

// Leased tells how many entries are taken and not answered.
func (q *Queue) Leased() int { return len(q.leased) }

// Next is when Advance has something to do; zero if never.
func (q *Queue) Next() time.Time {
	if len(q.due) == 0 {
		return time.Time{}
	}
	return q.due[0].due()
}

// Add puts an entry at the end. With depth entries waiting, the error is ErrFull.
func (q *Queue) Add(now time.Time, depth int, t Terms, value any) (*Entry, error) {
	q.Advance(now)
	if q.waiting.Len() >= depth {
		return nil, ErrFull
	}
	e := &Entry{Terms: t, Value: value}
	e.place = q.waiting.PushBack(e)
	heap.Push(&q.due, e)
	return e, nil
}

// Restore puts an entry at the end, without regard to depth, that was in a queue before: leased, if it has a LeaseID.
func (q *Queue) Restore(e Entry) *Entry {
	restored := &e
	restored.State, restored.place = Waiting, nil
	if e.LeaseID != "" {
		restored.State = Leased
		q.leased[e.LeaseID] = restored
	} else {
		restored.place = q.waiting.PushBack(restored)
	}
	heap.Push(&q.due, restored)
	return restored
}

// Take leases the entry that is next; nil if none waits. The id must never have been used before.
func (q *Queue) Take(now time.Time, id string) *Entry {
	q.Advance(now)
	front := q.waiting.Front()
	if front == nil {
		return nil
	}
	e := front.Value.(*Entry)
	q.waiting.Remove(front)
	e.place, e.State, e.LeaseID = nil, Leased, id
	e.Deliveries++
	e.LeaseEnd = now.Add(e.Lease)
	if e.LeaseEnd.After(e.Deadline) {
		e.LeaseEnd = e.Deadline
	}
	q.leased[id] = e
	heap.Fix(&q.due, e.index)
	return e
}

// GiveBack undoes a Take whose entry did not reach who has taken it. It reports whether the lease was still there.
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

// Find returns the entry with this lease; nil if there is no such lease, or not any more.
func (q *Queue) Find(now time.Time, id string) *Entry {
	q.Advance(now)
	return q.leased[id]
}

// Answer ends the entry with this lease; nil if there is no such lease, or not any more.
func (q *Queue) Answer(now time.Time, id string) *Entry {
	q.Advance(now)
	e := q.leased[id]
	if e != nil {
		q.end(e, Answered)
	}
	return e
}

// Leave ends an entry that nobody wants to be answered any more, unless it has ended.
func (q *Queue) Leave(e *Entry) {
	if e.State == Waiting || e.State == Leased {
		q.end(e, Gone)
	}
}

// Advance does what is due by now. It reports whether entries wait that did not before.
func (q *Queue) Advance(now time.Time) (more bool) {
	for len(q.due) > 0 && !q.due[0].due().After(now) {
		e := q.due[0]
		if e.State == Leased && e.Redeliver && e.Deliveries < MaxDeliveries && e.Deadline.After(now) {
			q.requeue(e)
			more = true
			continue
		}
		q.end(e, Expired)
	}
	return more
}

// requeue ends the lease of an entry, which has waited for longest.
func (q *Queue) requeue(e *Entry) {
	delete(q.leased, e.LeaseID)
	e.State, e.LeaseID, e.LeaseEnd = Waiting, "", time.Time{}
	e.place = q.waiting.PushFront(e)
	heap.Fix(&q.due, e.index)
}

// end takes an entry out and tells of it.
func (q *Queue) end(e *Entry, s State) {
	if e.place != nil {
		q.waiting.Remove(e.place)
		e.place = nil
	}
	delete(q.leased, e.LeaseID)
	heap.Remove(&q.due, e.index)
	e.State = s
	q.ended(e)
}

// schedule is a heap of entries by when they are due. It implements heap.Interface.
type schedule []*Entry

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due().Before(s[j].due()) }

func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	e := x.(*Entry)
	e.index = len(*s)
	*s = append(*s, e)
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	old := *s
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*s = old[:len(old)-1]
	e.index = -1
	return e
}
