package lease

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model is a queue with plain loops: its entries are in the order of their coming.
type model struct {
	t      *testing.T
	random *rand.Rand
	q      *Queue
	now    time.Time
	all    []*modelEntry // with ended ones
	leases []string      // of all times
	ended  int           // calls of ended
}

type modelEntry struct {
	is         *Entry
	terms      Terms
	state      State
	id         string
	end        time.Time // of the lease
	deliveries int
}

func (e *modelEntry) due() time.Time {
	if e.state == Leased {
		return e.end
	}
	return e.terms.Deadline
}

// TestQueueAgainstModel runs random operations of clients and workers, with random times and restarts. Few entries are open
// at a time, and most operations are on them.
func TestQueueAgainstModel(t *testing.T) {
	for seed := range uint64(150) {
		m := &model{t: t, random: rand.New(rand.NewPCG(seed, 1)), now: start, leases: []string{"never given"}}
		m.restart()
		for step := range 300 {
			m.play(fmt.Sprint("lease ", step))
			m.check()
		}
		m.now = m.now.Add(time.Hour)
		m.advance()
		m.q.Advance(m.now)
		m.check()
		require.Empty(t, m.open())
	}
}

// open returns the entries that have not ended.
func (m *model) open(states ...State) (open []*modelEntry) {
	for _, e := range m.all {
		if e.state < Answered && (len(states) == 0 || e.state == states[0]) {
			open = append(open, e)
		}
	}
	return open
}

// restart restores the open entries in another queue.
func (m *model) restart() {
	m.q, m.ended = New(func(*Entry) { m.ended++ }), 0
	m.all = m.open()
	for _, e := range m.all {
		e.is = m.q.Restore(Entry{Terms: e.terms, Value: e, LeaseID: e.id, LeaseEnd: e.end, Deliveries: e.deliveries})
	}
}

func (m *model) advance() (more bool) {
	for _, e := range m.open() {
		for e.state < Answered && !e.due().After(m.now) {
			if e.state == Leased && e.terms.Redeliver && e.deliveries < MaxDeliveries && e.terms.Deadline.After(m.now) {
				e.state, e.id, e.end, more = Waiting, "", time.Time{}, true
			} else {
				e.state, e.id = Expired, ""
			}
		}
	}
	return more
}

func (m *model) pass() {
	switch m.random.IntN(4) {
	case 0:
		m.now = m.now.Add(time.Duration(m.random.IntN(4)) * time.Second)
	case 1:
		if next := m.q.Next(); m.random.IntN(4) == 0 && next.After(m.now) {
			m.now = next
		}
	}
}

// lease returns an id of a lease, mostly of one that is open, and its entry if there is one.
func (m *model) lease() (string, *modelEntry) {
	id := m.leases[m.random.IntN(len(m.leases))]
	if open := m.open(Leased); len(open) > 0 && m.random.IntN(4) > 0 {
		id = open[m.random.IntN(len(open))].id
	}
	m.advance() // as the call that follows does
	for _, e := range m.open(Leased) {
		if e.id == id {
			return id, e
		}
	}
	return id, nil
}

// play runs one random operation. fresh is the id of a new lease.
func (m *model) play(fresh string) {
	const depth = 4
	m.pass()
	switch m.random.IntN(12) {
	case 0, 1, 2:
		e := &modelEntry{terms: Terms{
			Deadline:  m.now.Add(time.Duration(m.random.IntN(60)) * time.Second),
			Lease:     time.Duration(1+m.random.IntN(9)) * time.Second,
			Redeliver: m.random.IntN(3) > 0,
		}}
		m.advance()
		full := len(m.open(Waiting)) >= depth
		is, err := m.q.Add(m.now, depth, e.terms, e)
		require.Equal(m.t, full, err != nil)
		if e.is = is; err == nil {
			m.all = append(m.all, e)
		}
	case 3, 4, 5, 6:
		m.take(fresh)
	case 7:
		id, e := m.lease()
		if m.same(e, m.q.Answer(m.now, id)); e != nil {
			e.state = Answered
		}
	case 8:
		id, e := m.lease()
		if require.Equal(m.t, e != nil, m.q.GiveBack(m.now, id)); e != nil {
			e.state, e.id, e.end = Waiting, "", time.Time{}
			e.deliveries--
		}
	case 9:
		if len(m.all) > 0 {
			e := m.all[max(0, len(m.all)-1-m.random.IntN(10))]
			if m.q.Leave(e.is); e.state < Answered {
				e.state = Gone
			}
		}
	case 10:
		id, e := m.lease()
		m.same(e, m.q.Find(m.now, id))
	case 11:
		require.Equal(m.t, m.advance(), m.q.Advance(m.now))
		if m.random.IntN(10) == 0 {
			m.restart()
		}
	}
}

func (m *model) take(id string) {
	m.advance()
	got := m.q.Take(m.now, id)
	open := m.open(Waiting)
	if len(open) == 0 {
		require.Nil(m.t, got)
		return
	}
	e := open[0]
	m.same(e, got)
	e.state, e.id, e.end = Leased, id, m.now.Add(e.terms.Lease)
	if e.deliveries++; e.end.After(e.terms.Deadline) {
		e.end = e.terms.Deadline
	}
	m.leases = append(m.leases, id)
}

// same requires an entry, or none if e is nil.
func (m *model) same(e *modelEntry, got *Entry) {
	m.t.Helper()
	if e == nil {
		require.Nil(m.t, got)
	} else if e.is != got {
		m.t.Fatalf("another entry than that which came first, or has the lease: %v", got)
	}
}

// check compares the queue to the model.
func (m *model) check() {
	m.t.Helper()
	over := 0
	for _, e := range m.all {
		is := e.is
		require.Equal(m.t, e.state, is.State)
		if e.state >= Answered {
			over++
			require.True(m.t, is.place < 0 && is.index < 0, "an entry that has ended is still in a list")
			continue
		}
		require.Equal(m.t, *e, modelEntry{is, is.Terms, is.State, is.LeaseID, is.LeaseEnd, is.Deliveries})
	}
	waiting, open := m.open(Waiting), m.open()
	require.Equal(m.t, over, m.ended, "each entry ends once")
	require.Equal(m.t, len(waiting), m.q.Waiting())
	require.Equal(m.t, len(open)-len(waiting), m.q.Leased())
	require.Len(m.t, m.q.due.entries, len(open))
	if len(waiting) > 0 {
		m.same(waiting[0], m.q.First())
	} else {
		require.Nil(m.t, m.q.First())
	}
	var next time.Time
	if len(open) > 0 {
		next = slices.MinFunc(open, func(a, b *modelEntry) int { return a.due().Compare(b.due()) }).due()
	}
	require.Equal(m.t, next, m.q.Next())
}
