package embedded

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/events"
)

// model is a list of events beside the store under test.
type model struct {
	t      *testing.T
	random *rand.Rand
	path   string // empty: in memory
	s      *Store
	all    []*modelEvent
	ids    int
	leases []string // of all times
}

type modelEvent struct {
	events.Event
	events.Progress
	accepted  time.Time
	notBefore time.Time // zero: none
	due       time.Time
	lease     string
	lost      int
}

// TestStoreAgainstModel puts, takes, renews and ends events in random order, at random times, with restarts.
func TestStoreAgainstModel(t *testing.T) {
	dir := t.TempDir()
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			m := &model{t: t, random: rand.New(rand.NewPCG(seed, 1)), leases: []string{"never given"}}
			if seed%5 == 0 { // the file takes most of the time
				m.path = filepath.Join(dir, fmt.Sprint(seed))
			}
			m.s = open(t, m.path)
			for range 200 {
				time.Sleep(time.Millisecond) // no two events have the same time
				m.play()
				m.check()
			}
			require.NoError(t, m.s.Close())
		})
	}
}

func (m *model) seconds(n int) time.Duration { return time.Duration(m.random.IntN(n)) * time.Second }

// lease returns an id of a lease, mostly of one that is open, and its event if there is one.
func (m *model) lease() (id string, e *modelEvent) {
	leased := slices.DeleteFunc(slices.Clone(m.all), func(e *modelEvent) bool { return e.lease == "" })
	if len(leased) > 0 && m.random.IntN(4) > 0 {
		e = leased[m.random.IntN(len(leased))]
		return e.lease, e
	}
	id = m.leases[m.random.IntN(len(m.leases))]
	for _, e := range leased {
		if e.lease == id {
			return id, e
		}
	}
	return id, nil
}

// play makes one random step.
func (m *model) play() {
	ctx := m.t.Context()
	switch m.random.IntN(12) {
	case 0, 1:
		m.put()
	case 2, 3, 4:
		m.take()
	case 5:
		id, e := m.lease()
		lease := m.seconds(9)
		if m.ended(e, m.s.Renew(ctx, id, lease)); e != nil {
			e.due = time.Now().Add(lease)
		}
	case 6, 7:
		id, e := m.lease()
		after, p := m.seconds(9), events.Progress{Attempts: m.random.IntN(9), Throttles: m.random.IntN(9)}
		if m.ended(e, m.s.Retry(ctx, id, after, p)); e != nil {
			e.notBefore, e.Progress, e.lease, e.lost = time.Now().Add(after), p, "", 0
			e.due = e.notBefore
		}
	case 8:
		id, e := m.lease()
		if m.ended(e, m.s.Done(ctx, id)); e != nil {
			m.all = slices.DeleteFunc(m.all, func(o *modelEvent) bool { return o == e })
		}
	case 9:
		time.Sleep(m.seconds(5))
	case 10:
		if len(m.all) > 0 { // exactly until the first one is due
			first := slices.MinFunc(m.all, func(a, b *modelEvent) int { return a.due.Compare(b.due) })
			time.Sleep(time.Until(first.due))
			m.take()
		}
	case 11:
		if m.path != "" && m.random.IntN(4) == 0 {
			m.restart()
		}
	}
}

func (m *model) ended(e *modelEvent, err error) {
	m.t.Helper()
	if e == nil {
		require.ErrorIs(m.t, err, events.ErrEnded)
	} else {
		require.NoError(m.t, err)
	}
}

func (m *model) put() {
	if len(m.all) > 0 && m.random.IntN(4) == 0 {
		known := m.all[m.random.IntN(len(m.all))].Event
		known.Content = []byte("other")
		require.NoError(m.t, m.s.Put(m.t.Context(), known))
		return
	}
	m.ids++
	e := &modelEvent{accepted: time.Now(), due: time.Now()}
	e.Event = events.Event{ID: fmt.Sprint("event", m.ids), Function: fmt.Sprint("f", m.ids%2), Service: "/s", Content: bytes.Repeat([]byte{byte(m.ids)}, m.random.IntN(99))}
	require.NoError(m.t, m.s.Put(m.t.Context(), e.Event))
	m.all = append(m.all, e)
}

func (m *model) take() {
	now, most, lease := time.Now(), 1+m.random.IntN(3), m.seconds(9)
	slices.SortFunc(m.all, func(a, b *modelEvent) int { return cmp.Or(a.due.Compare(b.due), a.accepted.Compare(b.accepted)) })
	taken, wait, err := m.s.Take(m.t.Context(), most, lease)
	require.NoError(m.t, err)
	due := 0
	for due < min(most, len(m.all)) && !m.all[due].due.After(now) {
		due++
	}
	require.Len(m.t, taken, due)
	switch {
	case due > 0:
	case len(m.all) == 0:
		require.Equal(m.t, idleWait, wait)
	default:
		require.Equal(m.t, m.all[0].due.Sub(now), wait)
	}
	for i, got := range taken {
		e := m.all[i]
		require.NotContains(m.t, m.leases, got.LeaseID)
		if len(e.Content) == 0 {
			got.Content = e.Content
		}
		require.Equal(m.t, events.Taken{Event: e.Event, Progress: e.Progress, LeaseID: got.LeaseID, Age: now.Sub(e.accepted), Lost: e.lost}, got)
		e.lease, e.due = got.LeaseID, now.Add(lease)
		e.lost++
		m.leases = append(m.leases, got.LeaseID)
	}
}

// restart opens the file again: the leases are over.
func (m *model) restart() {
	require.NoError(m.t, m.s.Close())
	m.s = open(m.t, m.path)
	for _, e := range m.all {
		if e.lease, e.due = "", e.notBefore; e.due.IsZero() {
			e.due = e.accepted
		}
	}
}

func (m *model) check() {
	m.t.Helper()
	leased, size := 0, 0
	for _, e := range m.all {
		size += len(e.Content)
		if e.lease != "" {
			leased++
		}
	}
	got := m.s.Stats()
	require.Equal(m.t, []int{len(m.all), leased, size}, []int{got.Events, got.Leased, int(got.Bytes)})
}

// TestOrderAfterRestart: an event with an earlier try comes before later events.
func TestOrderAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "events.db")
		s, ctx := open(t, path), t.Context()
		require.NoError(t, s.Put(ctx, events.Event{ID: "first", Function: "f"}))
		taken, _, err := s.Take(ctx, 1, time.Hour)
		require.NoError(t, err)
		require.NoError(t, s.Retry(ctx, taken[0].LeaseID, time.Second, events.Progress{Attempts: 1}))
		for _, id := range []string{"second", "third"} {
			time.Sleep(2 * time.Second)
			require.NoError(t, s.Put(ctx, events.Event{ID: id, Function: "f"}))
		}
		require.NoError(t, s.Close())
		s = open(t, path)
		taken, _, err = s.Take(ctx, 9, time.Hour)
		require.NoError(t, err)
		require.Equal(t, []string{"first", "second", "third"}, []string{taken[0].ID, taken[1].ID, taken[2].ID})
		require.NoError(t, s.Close())
	})
}
