package pgqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/services/queues"
	"github.com/vespo-dev/vespo/services/queues/storetest"
)

// cycle puts a request into a queue of its own, takes it, and answers it.
func cycle(ctx context.Context, s *Store) error {
	queue, r := "/"+rand.Text(), storetest.Request("x")
	if err := s.Put(ctx, queue, r, storetest.Wide()); err != nil {
		return err
	}
	o, err := s.Take(ctx, queue)
	if err != nil {
		return err
	}
	if o == nil || o.ID != r.ID {
		return fmt.Errorf("the request that was put is not taken: %v", o)
	}
	if err := s.Answer(ctx, queue, o.LeaseID, storetest.Answer("y")); err != nil {
		return err
	}
	result, err := s.Result(ctx, queue, r.ID)
	if err == nil && string(result.Body) != "y" {
		err = fmt.Errorf("the result is %q", result.Body)
	}
	return err
}

// TestFaults cuts connections and answers, and ends the engine. Short cuts are not noticed.
func TestFaults(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	s := openAt(t, proxy.Address, func(c *Config) { c.Timeout = 2 * time.Second })
	for range 20 {
		proxy.Cut()
		require.NoError(t, cycle(t.Context(), s))
	}
	lost := storetest.Request("lost")
	lost.Lease = time.Hour // longer than the test waits
	require.NoError(t, s.Put(t.Context(), "/q", lost, storetest.Wide()))
	proxy.DropReplies(true)
	_, err := s.Take(t.Context(), "/q")
	require.ErrorIs(t, err, queues.ErrUncertain)
	uncertain := storetest.Request("uncertain")
	err = s.Put(t.Context(), "/q", uncertain, storetest.Wide())
	require.ErrorIs(t, err, queues.ErrUnavailable, "it is known to be away")
	require.NotContains(t, err.Error(), proxy.Address, "clients may see the error")
	_, away := s.Totals()
	require.True(t, away)
	proxy.DropReplies(false)
	enginetest.Eventually(t, func() error { return cycle(t.Context(), s) })
	enginetest.Eventually(t, func() error { // the lease is given back
		if o, err := s.Take(t.Context(), "/q"); err != nil || o == nil || o.ID != lost.ID {
			return errors.New("the request of the lost answer is not taken")
		}
		return nil
	})

	kept := storetest.Request("kept")
	require.NoError(t, s.Put(t.Context(), "/kept", kept, storetest.Wide()))
	engine.Kill(t)
	enginetest.Eventually(t, func() error {
		if err := cycle(t.Context(), s); !errors.Is(err, queues.ErrUnavailable) {
			return fmt.Errorf("not away: %w", err)
		}
		return nil
	})
	late := openAt(t, engine.Address)
	require.ErrorIs(t, cycle(t.Context(), late), queues.ErrUnavailable)
	engine.Run(t)
	for _, s := range []*Store{s, late} {
		enginetest.Eventually(t, func() error { return cycle(t.Context(), s) })
	}
	o, err := late.Take(t.Context(), "/kept")
	require.NoError(t, err)
	require.Equal(t, kept.ID, o.ID)
	require.NoError(t, late.Close())
	require.NoError(t, s.Close())
}

// TestSlowTake repeats a take whose first attempt is still being made when the second one finds nothing.
func TestSlowTake(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	s, direct := openAt(t, proxy.Address), openAt(t, engine.Address)
	r := storetest.Request("x")
	r.Redeliver = false // it would fail with its lease
	require.NoError(t, s.Put(t.Context(), "/q", r, storetest.Wide()))
	engine.Do(t, "CREATE TABLE vespo.released (at int)")
	engine.Do(t, `CREATE OR REPLACE FUNCTION vespo.queue_durable(durable bool) RETURNS void LANGUAGE plpgsql AS $$
		BEGIN
			IF NOT durable OR txid_current_if_assigned() IS NULL THEN -- no request is locked
				RETURN;
			END IF;
			LOOP
				BEGIN -- pgx asks for a cancellation when its connection is cut; it must be caught wherever it arrives
					WHILE NOT EXISTS (SELECT FROM vespo.released) LOOP
						PERFORM pg_sleep(0.01);
					END LOOP;
					RETURN;
				EXCEPTION WHEN query_canceled THEN -- as during a commit
				END;
			END LOOP;
		END $$`)
	taken := make(chan *queues.Order)
	go func() {
		o, err := s.Take(t.Context(), "/q")
		assert.NoError(t, err)
		taken <- o
	}()
	enginetest.Eventually(t, func() error { // the first attempt has the request
		var runs bool
		err := direct.pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')").Scan(&runs)
		if err == nil && !runs {
			err = errors.New("it does not run")
		}
		return err
	})
	proxy.Cut()
	require.Nil(t, <-taken)
	engine.Do(t, "INSERT INTO vespo.released VALUES (1)")
	enginetest.Eventually(t, func() error {
		if o, err := direct.Take(t.Context(), "/q"); err != nil || o == nil || o.ID != r.ID {
			return errors.New("the request of the lost take is not taken")
		}
		return nil
	})
	require.NoError(t, s.Close())
	require.NoError(t, direct.Close())
}

// TestRepeatedPutWaitsForStandbys cuts the connection of a put that waits for a standby. The put is made, but not confirmed before the
// standby has it.
func TestRepeatedPutWaitsForStandbys(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	proxy := enginetest.StartProxy(t, engine.Address)
	s, direct := openAt(t, proxy.Address, func(c *Config) { c.Timeout = 2 * time.Second }), openAt(t, engine.Address)
	engine.Do(t, "ALTER SYSTEM SET synchronous_standby_names = 'missing'")
	engine.Do(t, "SELECT pg_reload_conf()")
	enginetest.Eventually(t, func() error {
		var names string
		err := direct.pool.QueryRow(t.Context(), "SHOW synchronous_standby_names").Scan(&names)
		if err == nil && names == "" {
			err = errors.New("the configuration is not read yet")
		}
		return err
	})
	stored := make(chan error, 1)
	put := func() { stored <- s.Put(t.Context(), "/q", storetest.Request("x"), storetest.Wide()) }
	go put()
	enginetest.Eventually(t, func() error {
		select {
		case <-stored: // the process that decides about waiting had not read the configuration, or the time of the put is over
			go put()
		default:
		}
		var waits bool
		err := direct.pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%queue_put%')").Scan(&waits)
		if err == nil && !waits {
			err = errors.New("it does not wait")
		}
		return err
	})
	proxy.Cut()
	require.ErrorIs(t, <-stored, queues.ErrUncertain)
	require.NoError(t, s.Close())
	require.NoError(t, direct.Close())
}

// TestSignals wakes a host when another one has a request or an answer for it, and when signals may have been lost.
func TestSignals(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	a, b := openAt(t, engine.Address), openAt(t, engine.Address)
	r := storetest.Request("x")
	requests, release := b.Signals().Requests("/q")
	defer release()
	results, release := a.Signals().Result(r.ID)
	defer release()
	for _, from := range []struct {
		s     *Store
		news  string
		woken <-chan struct{}
	}{{a, "/q", requests}, {b, r.ID, results}} {
		enginetest.Eventually(t, func() error { // as soon as the other listens
			from.s.announce("q", from.news)
			from.s.announce("r", from.news)
			select {
			case <-from.woken:
				return nil
			case <-time.After(10 * time.Millisecond):
				return errors.New("not woken")
			}
		})
	}
	require.NoError(t, a.Put(t.Context(), "/q", r, storetest.Wide()))
	<-requests
	o, err := b.Take(t.Context(), "/q")
	require.NoError(t, err)
	require.NoError(t, b.Answer(t.Context(), "", o.LeaseID, storetest.Answer("y")))
	require.NoError(t, b.Answer(t.Context(), "/q", o.LeaseID, storetest.Answer("y")), "the same again")
	require.ErrorIs(t, b.Answer(t.Context(), "/q", o.LeaseID, storetest.Answer("z")), queues.ErrEnded)
	<-results
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

// TestClients hands out the requests of clients that wait while their host is alive, and forgets those of clients that leave.
func TestClients(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	a, b := openAt(t, engine.Address), openAt(t, engine.Address)
	waits := func() queues.Request {
		r := storetest.Request("x")
		r.Waits = true
		return r
	}
	left, stays, orphan := waits(), waits(), waits()
	for _, r := range []queues.Request{left, stays} {
		require.NoError(t, a.Put(t.Context(), "/q", r, storetest.Wide()))
	}
	require.NoError(t, a.Leave(t.Context(), "/q", left.ID))
	o, err := b.Take(t.Context(), "/q")
	require.NoError(t, err)
	require.Equal(t, stays.ID, o.ID)
	require.NoError(t, a.Put(t.Context(), "/q", orphan, storetest.Wide()))
	require.NoError(t, a.Close())
	engine.Do(t, "UPDATE vespo.queue_hosts SET seen = seen - 3600000000 WHERE id = '"+a.host+"'")
	o, err = b.Take(t.Context(), "/q")
	require.NoError(t, err)
	require.Nil(t, o)
	require.NoError(t, b.beat(t.Context()))
	require.NoError(t, b.sweep(t.Context()))
	_, err = b.Result(t.Context(), "/q", orphan.ID)
	require.ErrorIs(t, err, queues.ErrNotFound)
	require.NoError(t, b.Close())
}

// TestSweep deletes results by their age and number, and counts.
func TestSweep(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	s := openAt(t, engine.Address, func(c *Config) { c.KeepResults = 3 })
	var all []queues.Request
	for range 6 {
		r := storetest.Request("x")
		all = append(all, r)
		require.NoError(t, s.Put(t.Context(), "/q", r, storetest.Wide()))
		o, err := s.Take(t.Context(), "/q")
		require.NoError(t, err)
		require.NoError(t, s.Answer(t.Context(), "/q", o.LeaseID, storetest.Answer("y")))
	}
	require.NoError(t, s.Put(t.Context(), "/q", storetest.Request("waits"), storetest.Wide()))
	require.NoError(t, s.beat(t.Context()))
	require.NoError(t, s.sweep(t.Context()))
	require.NoError(t, s.beat(t.Context()))
	require.Equal(t, 4, s.Stats("/q").Stored)
	require.Equal(t, 1, s.Stats("/q").Waiting)
	require.WithinDuration(t, time.Now(), s.Stats("/q").Oldest, time.Minute)
	for i, r := range all {
		_, err := s.Result(t.Context(), "/q", r.ID)
		require.Equal(t, i < 3, errors.Is(err, queues.ErrNotFound))
	}
	engine.Do(t, "UPDATE vespo.queue_requests SET due = 1 WHERE state = 2")
	_, err := s.Result(t.Context(), "/q", all[5].ID)
	require.ErrorIs(t, err, queues.ErrNotFound)
	require.NoError(t, s.sweep(t.Context()))
	require.NoError(t, s.beat(t.Context()))
	sum, away := s.Totals()
	require.False(t, away)
	require.Equal(t, []int{1, 1}, []int{sum.Stored, sum.Waiting})
	require.EqualValues(t, len(`{"OF":"waits"}waits`), sum.Bytes)
	few := queues.Bounds{Waiting: 100, Bytes: sum.Bytes + 2}
	require.ErrorIs(t, s.Put(t.Context(), "/q", storetest.Request("x"), few), queues.ErrFull)
	require.NoError(t, s.Close())
}

// TestSweepKeepsWhatAClientWaitsFor keeps an answer that a client has not read yet, however many results there are.
func TestSweepKeepsWhatAClientWaitsFor(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	s := openAt(t, engine.Address, func(c *Config) { c.KeepResults = 1 })
	waits := storetest.Request("x")
	waits.Waits = true
	for _, r := range []queues.Request{storetest.Request("a"), storetest.Request("b"), waits} {
		require.NoError(t, s.Put(t.Context(), "/q", r, storetest.Wide()))
		o, err := s.Take(t.Context(), "/q")
		require.NoError(t, err)
		require.NoError(t, s.Answer(t.Context(), "/q", o.LeaseID, storetest.Answer("y")))
	}
	require.NoError(t, s.beat(t.Context()))
	require.NoError(t, s.sweep(t.Context()))
	result, err := s.Result(t.Context(), "/q", waits.ID)
	require.NoError(t, err)
	require.Equal(t, queues.Answered, result.State)
	require.NoError(t, s.beat(t.Context()))
	require.Equal(t, 2, s.Stats("/q").Stored)
	require.NoError(t, s.Close())
}

// TestDamage sets a damaged request aside, and does not return a damaged answer.
func TestDamage(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	s := openAt(t, engine.Address)
	bad, good := storetest.Request("bad"), storetest.Request("good")
	for _, r := range []queues.Request{bad, good} {
		require.NoError(t, s.Put(t.Context(), "/q", r, storetest.Wide()))
	}
	engine.Do(t, "UPDATE vespo.queue_requests SET body = 'bat' WHERE id = '"+bad.ID+"'")
	o, err := s.Take(t.Context(), "/q")
	require.NoError(t, err)
	require.Equal(t, good.ID, o.ID)
	require.NoError(t, s.Answer(t.Context(), "/q", o.LeaseID, storetest.Answer("y")))
	engine.Do(t, "UPDATE vespo.queue_requests SET status = 200, header = '{}' WHERE id = '"+good.ID+"'")
	for _, r := range []queues.Request{bad, good} {
		result, err := s.Result(t.Context(), "/q", r.ID)
		require.NoError(t, err)
		require.Equal(t, queues.Result{State: queues.Damaged}, queues.Result{State: result.State})
	}
	require.NoError(t, s.Close())
}

// TestRepeated makes operations at the same time that a host repeats because an answer was lost.
func TestRepeated(t *testing.T) {
	engine := enginetest.StartPostgres(t)
	s := openAt(t, engine.Address)
	for range 20 {
		r := storetest.Request("x")
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() { errs <- s.Put(t.Context(), "/q", r, storetest.Wide()) }()
		}
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
		o, err := s.Take(t.Context(), "/q")
		require.NoError(t, err)
		require.Equal(t, r.ID, o.ID)
		for range cap(errs) {
			go func() { errs <- s.Answer(t.Context(), "/q", o.LeaseID, storetest.Answer("y")) }()
		}
		for range cap(errs) {
			require.NoError(t, <-errs)
		}
		o, err = s.Take(t.Context(), "/q")
		require.NoError(t, err)
		require.Nil(t, o)
	}
	require.NoError(t, s.beat(t.Context()))
	require.Equal(t, 20, s.Stats("/q").Stored)
	require.NoError(t, s.Close())
}
