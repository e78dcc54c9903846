package pgqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/services/events"
	"github.com/vespo-dev/vespo/services/events/storetest"
)

func TestEventConformance(t *testing.T) {
	for _, level := range []string{"read committed", "serializable"} {
		t.Run(level, func(t *testing.T) {
			engine := enginetest.StartPostgres(t, "synchronous_commit=off", "default_transaction_isolation="+level)
			var schemas atomic.Int64
			fresh := func(*testing.T) storetest.Open {
				schema := fmt.Sprint("test", schemas.Add(1))
				return func(t *testing.T, l storetest.Limits) (events.Store, func() error) {
					s := openAt(t, engine.Address, func(c *Config) {
						c.Schema, c.Timeout, c.Events, c.EventBytes = schema, time.Minute, l.Events, l.Bytes
					})
					return s.Events(), s.Close
				}
			}
			storetest.Run(t, fresh)
			storetest.RunReopen(t, fresh(t))
		})
	}
}

// eventCycle puts an event, takes it and ends it.
func eventCycle(ctx context.Context, s *Store) error {
	id := rand.Text()
	if err := s.Events().Put(ctx, events.Event{ID: id, Function: "f", Content: []byte(id)}); err != nil {
		return err
	}
	taken, _, err := s.Events().Take(ctx, 10, time.Hour)
	if err != nil {
		return err
	}
	for _, e := range taken {
		if string(e.Content) != e.ID {
			return fmt.Errorf("%s has the content %q", e.ID, e.Content)
		}
		if err := s.Events().Done(ctx, e.LeaseID); err != nil {
			return err
		}
	}
	if len(taken) == 0 {
		return errors.New("the event is not taken")
	}
	return nil
}

// TestEventFaults cuts connections and answers, and ends the engine.
func TestEventFaults(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	s := openAt(t, proxy.Address, func(c *Config) { c.Timeout = 2 * time.Second })
	for range 20 {
		proxy.Cut()
		require.NoError(t, eventCycle(t.Context(), s))
	}
	proxy.DropReplies(true)
	err := s.Events().Put(t.Context(), events.Event{ID: "lost", Function: "f", Content: []byte("lost")})
	require.ErrorIs(t, err, events.ErrUncertain)
	require.ErrorIs(t, eventCycle(t.Context(), s), events.ErrUnavailable, "it is known to be away")
	require.True(t, s.Events().Stats().Away)
	proxy.DropReplies(false)
	enginetest.Eventually(t, func() error { return eventCycle(t.Context(), s) })

	require.NoError(t, s.Events().Put(t.Context(), events.Event{ID: "kept", Function: "f", Content: []byte("kept")}))
	engine.Kill(t)
	enginetest.Eventually(t, func() error {
		if err := eventCycle(t.Context(), s); !errors.Is(err, events.ErrUnavailable) {
			return fmt.Errorf("not away: %w", err)
		}
		return nil
	})
	engine.Run(t)
	enginetest.Eventually(t, func() error {
		taken, _, err := s.Events().Take(t.Context(), 1, time.Hour)
		if err == nil && (len(taken) != 1 || taken[0].ID != "kept") {
			err = fmt.Errorf("taken: %v", taken)
		}
		return err
	})
	require.NoError(t, s.Close())
}

// dropEvents drops the functions for events.
const dropEvents = `DO $$ DECLARE f regprocedure; BEGIN
	FOR f IN SELECT p.oid FROM pg_proc p WHERE p.pronamespace = 'vespo'::regnamespace AND p.proname LIKE 'event\_%' LOOP
	EXECUTE 'DROP FUNCTION ' || f;
	END LOOP; END $$`

// TestSchemaWithoutEvents opens a schema of a version that had no events. Its requests stay.
func TestSchemaWithoutEvents(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	s := openAt(t, engine.Address)
	require.NoError(t, cycle(t.Context(), s))
	engine.Do(t, dropEvents)
	engine.Do(t, `DROP TABLE vespo.event_format, vespo.event_format_2, vespo.event_counts, vespo.event_events, vespo.event_damaged`)
	require.NoError(t, s.Close())
	for range 2 {
		s = openAt(t, engine.Address)
		require.NoError(t, eventCycle(t.Context(), s))
		require.NoError(t, cycle(t.Context(), s))
		require.NoError(t, s.Close())
	}
}

func TestDamagedStoredEvent(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	s := openAt(t, engine.Address)
	for _, id := range []string{"damaged", "whole"} {
		require.NoError(t, s.Events().Put(t.Context(), events.Event{ID: id, Function: "f", Content: []byte(id)}))
	}
	engine.Do(t, `UPDATE vespo.event_events SET content = 'x' WHERE id = 'damaged'`)
	taken, _, err := s.Events().Take(t.Context(), 10, time.Hour)
	require.NoError(t, err)
	require.Len(t, taken, 1)
	require.Equal(t, "whole", taken[0].ID)
	require.EqualValues(t, 1, s.Events().Stats().Damaged)
	require.NoError(t, s.Close())
}
