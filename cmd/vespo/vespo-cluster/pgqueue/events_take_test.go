package pgqueue

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/services/events"
)

// put stores an event whose content is its id.
func put(t *testing.T, s *Store, service, id string) {
	t.Helper()
	require.NoError(t, s.Events().Put(t.Context(), events.Event{ID: id, Function: "f", Service: service, Content: []byte(id)}))
}

// TestEventsOfOtherHosts leaves events to hosts that serve their services, unless only their end is left to do.
func TestEventsOfOtherHosts(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	s := openAt(t, engine.Address)
	take := func(others ...string) (ids []string) {
		taken, _, err := s.Events().Take(t.Context(), 10, time.Hour, others...)
		require.NoError(t, err)
		for _, e := range taken {
			ids = append(ids, e.ID)
			require.NoError(t, s.Events().Retry(t.Context(), e.LeaseID, 0, e.Progress))
		}
		return ids
	}
	put(t, s, "/f", "a")
	put(t, s, "/g", "b")
	put(t, s, "/h", "c")
	require.Equal(t, []string{"b"}, take("/f", "/h"))
	require.Empty(t, take("/f", "/g", "/h"))
	engine.Do(t, `UPDATE vespo.event_events SET accepted = accepted - 90000000000 WHERE id = 'a'`) // 25 h
	engine.Do(t, `UPDATE vespo.event_events SET final = '{}' WHERE id = 'c'`)
	require.Equal(t, []string{"a", "c"}, take("/f", "/g", "/h"))
	require.ElementsMatch(t, []string{"a", "b", "c"}, take())
	require.NoError(t, s.Close())
}

// TestEventCountsAreSwept ends the events of many functions, while others go on. Their counts are deleted, and those of others are right.
func TestEventCountsAreSwept(t *testing.T) {
	engine := enginetest.StartPostgres(t, "synchronous_commit=off")
	s := openAt(t, engine.Address, func(c *Config) { c.Timeout = time.Minute })
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			for i := range 25 {
				id, function := fmt.Sprintf("%d-%d", n, i), fmt.Sprintf("f%d", i%5)
				if err := s.Events().Put(t.Context(), events.Event{ID: id, Function: function, Content: []byte(id)}); err != nil {
					t.Error(err)
					return
				}
				taken, _, err := s.Events().Take(t.Context(), 1, time.Hour)
				if err != nil {
					t.Error(err)
				}
				for _, e := range taken {
					if err := s.Events().Done(t.Context(), e.LeaseID); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 20 {
		require.NoError(t, s.events.sweep(t.Context()))
	}
	all.Wait()
	for range 100 {
		taken, _, err := s.Events().Take(t.Context(), 100, time.Hour)
		require.NoError(t, err)
		if len(taken) == 0 {
			break
		}
		for _, e := range taken {
			require.NoError(t, s.Events().Done(t.Context(), e.LeaseID))
		}
	}
	put(t, s, "/kept", "kept")
	require.NoError(t, s.events.sweep(t.Context()))
	var rows, stored, size int
	require.NoError(t, s.row(t.Context(), []any{&rows, &stored, &size}, `SELECT count(*), sum(events)::bigint, sum(bytes)::bigint FROM @schema@.event_counts`))
	require.Equal(t, []int{1, 1, 4}, []int{rows, stored, size})
	require.NoError(t, s.Close())
}

// TestTakeOfEventsOverASlowLink takes large events over a link on which several of them do not arrive in time. None counts as lost.
func TestTakeOfEventsOverASlowLink(t *testing.T) {
	const number, size = 4, 400 << 10
	engine := enginetest.StartPostgres(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	s := openAt(t, proxy.Address, func(c *Config) { c.Timeout = time.Second })
	for n := range number {
		enginetest.Eventually(t, func() error {
			return s.Events().Put(t.Context(), events.Event{ID: fmt.Sprint(n), Function: "f", Content: make([]byte, size)})
		})
	}
	proxy.Slow(700 << 10)
	failed := 0
	for found := map[string]bool{}; len(found) < number; {
		enginetest.Eventually(t, func() error {
			taken, _, err := s.Events().Take(t.Context(), 8, time.Hour) // only the end of the lease would let others take it
			if err != nil {
				failed++
				return err
			}
			for _, e := range taken {
				require.Zero(t, e.Lost)
				require.Len(t, e.Content, size)
				found[e.ID] = true
			}
			if len(taken) == 0 {
				return fmt.Errorf("none is due, %d of %d were taken", len(found), number)
			}
			return nil
		})
	}
	require.Positive(t, failed, "the link was not too slow for all of them")
	require.NoError(t, s.Close())
}

// TestTakeIsBounded takes large events one at a time, and small ones together.
func TestTakeIsBounded(t *testing.T) {
	s := openAt(t, enginetest.StartPostgres(t).Address)
	for n, size := range []int{takeBytes + 1, takeBytes / 2, takeBytes / 2, 1} {
		require.NoError(t, s.Events().Put(t.Context(), events.Event{ID: fmt.Sprint(n), Function: "f", Content: make([]byte, size)}))
	}
	for _, want := range []int{1, 2, 1} {
		taken, _, err := s.Events().Take(t.Context(), 8, time.Hour)
		require.NoError(t, err)
		require.Len(t, taken, want)
	}
	require.NoError(t, s.Close())
}

// TestSchemaOfEarlierEvents opens a schema of a version whose hosts go on. Both versions count and take.
func TestSchemaOfEarlierEvents(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	s := openAt(t, engine.Address)
	engine.Do(t, dropEvents)
	engine.Do(t, `DROP TABLE vespo.event_format, vespo.event_format_2, vespo.event_counts, vespo.event_events, vespo.event_damaged`)
	engine.Do(t, strings.ReplaceAll(eventTables+eventFunctions, "@schema@", "vespo"))
	earlier := func(id string) {
		engine.Do(t, fmt.Sprintf(`SELECT vespo.event_put('%s', 'f', '%s', '\x%x', 100, 100000, 3)`, id, id, sums(id, []byte("f"), []byte(id))))
	}
	earlier("before")
	require.NoError(t, s.Close())
	s = openAt(t, engine.Address)
	earlier("after")
	for _, id := range []string{"before", "after"} {
		taken, _, err := s.Events().Take(t.Context(), 1, time.Hour)
		require.NoError(t, err)
		require.Len(t, taken, 1)
		require.Equal(t, id, taken[0].ID)
		require.NoError(t, s.Events().Done(t.Context(), taken[0].LeaseID))
	}
	put(t, s, "/f", "new")
	engine.Do(t, `SELECT vespo.event_end(lease, false) FROM vespo.event_take(ARRAY['lease'], false, 1000000)`)
	require.NoError(t, s.events.sweep(t.Context()))
	var rows int
	require.NoError(t, s.row(t.Context(), []any{&rows}, `SELECT count(*) FROM @schema@.event_counts`))
	require.Zero(t, rows)
	require.NoError(t, s.Close())
}
