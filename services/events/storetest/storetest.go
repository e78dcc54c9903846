// Package storetest is the suite that every store of events passes.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/events"
)

// Limits are those of a store. Zero fields mean the defaults.
type Limits struct {
	Events int
	Bytes  int64
}

// Open opens the same store each time. The previous one has been closed.
type Open func(t *testing.T, l Limits) (s events.Store, closeStore func() error)

const (
	hang  = time.Minute // bounds waits
	long  = time.Hour   // a lease that does not end during a test
	short = time.Millisecond
)

// run is a test with an open store.
type run struct {
	*testing.T
	events.Store
}

// Run runs all tests of a store that is open. fresh returns how to open a store that is empty.
func Run(t *testing.T, fresh func(t *testing.T) Open) {
	for name, test := range map[string]struct {
		limits Limits
		run    func(r run)
	}{
		"Order":      {run: testOrder},
		"Fence":      {run: testFence},
		"Late":       {run: testLate},
		"Renew":      {run: testRenew},
		"Retry":      {run: testRetry},
		"Known":      {run: testKnown},
		"Unknown":    {run: testUnknown},
		"Signal":     {run: testSignal},
		"Number":     {limits: Limits{Events: 10}, run: testNumber},
		"Bytes":      {limits: Limits{Bytes: 1000}, run: testBytes},
		"Concurrent": {run: testConcurrent},
	} {
		t.Run(name, func(t *testing.T) {
			s, closeStore := fresh(t)(t, test.limits)
			test.run(run{t, s})
			require.NoError(t, closeStore())
		})
	}
}

func (r run) put(function, content string) (id string) {
	r.Helper()
	id = rand.Text()
	require.NoError(r, r.Put(r.Context(), events.Event{ID: id, Function: function, Content: []byte(content)}))
	return id
}

// take waits until an event is due, which must have this content.
func (r run) take(content string, lease time.Duration) events.Taken {
	r.Helper()
	var taken []events.Taken
	require.Eventually(r, func() bool {
		var err error
		taken, _, err = r.Take(r.Context(), 1, lease)
		return err == nil && len(taken) > 0
	}, hang, time.Millisecond)
	require.Len(r, taken, 1)
	require.Equal(r, content, string(taken[0].Content))
	return taken[0]
}

// none checks that no event is due.
func (r run) none() {
	r.Helper()
	taken, wait, err := r.Take(r.Context(), 100, long)
	require.NoError(r, err)
	require.Empty(r, taken)
	require.Positive(r, wait)
}

func testOrder(r run) {
	r.none()
	for _, content := range []string{"a", "", "c"} {
		r.put("f", content)
	}
	taken, _, err := r.Take(r.Context(), 2, long)
	require.NoError(r, err)
	require.Len(r, taken, 2)
	require.Equal(r, []string{"a", ""}, []string{string(taken[0].Content), string(taken[1].Content)})
	require.NotEqual(r, taken[0].LeaseID, taken[1].LeaseID)
	require.Equal(r, "f", taken[0].Function)
	require.GreaterOrEqual(r, taken[0].Age, time.Duration(0))
	require.NoError(r, r.Done(r.Context(), taken[0].LeaseID))
	require.NoError(r, r.Done(r.Context(), r.take("c", long).LeaseID))
	r.none()
}

// testFence lets a lease end, and checks that its holder changes nothing once another lease has begun.
func testFence(r run) {
	id := r.put("f", "a")
	first := r.take("a", short)
	second := r.take("a", long)
	require.Equal(r, []any{id, 0, 1}, []any{second.ID, first.Lost, second.Lost})
	require.NotEqual(r, first.LeaseID, second.LeaseID)
	require.ErrorIs(r, r.Renew(r.Context(), first.LeaseID, long), events.ErrEnded)
	require.ErrorIs(r, r.Retry(r.Context(), first.LeaseID, 0, events.Progress{Attempts: 7}), events.ErrEnded)
	require.ErrorIs(r, r.Done(r.Context(), first.LeaseID), events.ErrEnded)
	require.NoError(r, r.Retry(r.Context(), second.LeaseID, 0, events.Progress{Attempts: 1}))
	third := r.take("a", long)
	require.Equal(r, []int{1, 0}, []int{third.Attempts, third.Lost}, "a result ends the count of lost leases")
	require.NoError(r, r.Done(r.Context(), third.LeaseID))
	require.ErrorIs(r, r.Done(r.Context(), third.LeaseID), events.ErrEnded)
}

// testLate checks that a result counts after the end of the lease if no other lease has begun.
func testLate(r run) {
	r.put("f", "a")
	first := r.take("a", short)
	pause(10 * short)
	require.NoError(r, r.Done(r.Context(), first.LeaseID))
	r.none()
}

func testRenew(r run) {
	const lease = 50 * time.Millisecond
	r.put("f", "a")
	first := r.take("a", lease)
	require.NoError(r, r.Renew(r.Context(), first.LeaseID, long))
	pause(2 * lease)
	r.none()
	require.NoError(r, r.Done(r.Context(), first.LeaseID))
}

func testRetry(r run) {
	r.put("f", "a")
	p := events.Progress{Attempts: 2, Throttles: 3, Final: []byte(`{"x":1}`)}
	require.NoError(r, r.Retry(r.Context(), r.take("a", long).LeaseID, long, p))
	r.put("f", "b")
	require.NoError(r, r.Retry(r.Context(), r.take("b", long).LeaseID, 20*time.Millisecond, p))
	taken := r.take("b", long)
	require.Equal(r, p, taken.Progress)
	require.NoError(r, r.Done(r.Context(), taken.LeaseID))
	r.none()
}

func testKnown(r run) {
	e := events.Event{ID: rand.Text(), Function: "f", Service: "/f", Content: []byte("a")}
	for range 2 {
		require.NoError(r, r.Put(r.Context(), e))
	}
	taken := r.take("a", long)
	require.Equal(r, e, taken.Event)
	require.NoError(r, r.Done(r.Context(), taken.LeaseID))
	r.none()
}

func testUnknown(r run) {
	require.ErrorIs(r, r.Done(r.Context(), "none"), events.ErrEnded)
	require.ErrorIs(r, r.Renew(r.Context(), "none", long), events.ErrEnded)
	require.ErrorIs(r, r.Retry(r.Context(), "none", 0, events.Progress{}), events.ErrEnded)
}

func testSignal(r run) {
	r.none()
	r.put("f", "a")
	select {
	case <-r.Due():
	case <-time.After(hang):
		r.Fatal("no signal")
	}
}

// testNumber fills a store for 10 events. One function may have at most three times the rest.
func testNumber(r run) {
	full := func(function string, most int) int {
		for n := range most {
			err := r.Put(r.Context(), events.Event{ID: rand.Text(), Function: function})
			if errors.Is(err, events.ErrFull) {
				return n
			}
			require.NoError(r, err)
		}
		return most
	}
	one := full("one", 20)
	require.Positive(r, one)
	require.Less(r, one, 10, "one function does not take all")
	require.Positive(r, full("two", 20), "another one finds a place")
	require.NotZero(r, r.Stats().Refused)
	taken, _, err := r.Take(r.Context(), 100, long)
	require.NoError(r, err)
	for _, e := range taken {
		require.NoError(r, r.Done(r.Context(), e.LeaseID))
	}
	require.Equal(r, one, full("one", 20), "places are free again")
}

func testBytes(r run) {
	require.ErrorIs(r, r.Put(r.Context(), events.Event{ID: rand.Text(), Function: "f", Content: make([]byte, 900)}), events.ErrFull)
	r.none()
	content := string(bytes.Repeat([]byte("x"), 700))
	r.put("f", content)
	require.ErrorIs(r, r.Put(r.Context(), events.Event{ID: rand.Text(), Function: "f", Content: make([]byte, 100)}), events.ErrFull)
	r.put("g", "y")
	require.NoError(r, r.Done(r.Context(), r.take(content, long).LeaseID))
	r.put("f", content)
}

// RunReopen checks that a store keeps events and their progress when it is opened again.
func RunReopen(t *testing.T, open Open) {
	s, closeStore := open(t, Limits{})
	r := run{t, s}
	r.put("f", "done")
	require.NoError(t, r.Done(t.Context(), r.take("done", long).LeaseID))
	r.put("f", "later")
	require.NoError(t, r.Retry(t.Context(), r.take("later", long).LeaseID, 30*time.Minute, events.Progress{Attempts: 1}))
	r.put("f", "failed")
	p := events.Progress{Attempts: 2, Throttles: 1, Final: []byte(`{}`)}
	require.NoError(t, r.Retry(t.Context(), r.take("failed", long).LeaseID, 0, p))
	require.Equal(t, p, r.take("failed", short).Progress)
	r.put("f", "waits")
	require.NoError(t, closeStore())
	s, closeStore = open(t, Limits{})
	r = run{t, s}
	found := map[string]events.Taken{}
	for range 2 {
		require.Eventually(t, func() bool {
			taken, _, err := r.Take(t.Context(), 1, long)
			for _, e := range taken {
				found[string(e.Content)] = e
			}
			return err == nil && len(taken) > 0
		}, hang, time.Millisecond)
	}
	require.Equal(t, p, found["failed"].Progress)
	require.Equal(t, 1, found["failed"].Lost)
	require.Contains(t, found, "waits")
	r.none()
	require.NoError(t, closeStore())
	require.ErrorIs(t, r.Put(t.Context(), events.Event{ID: "late", Function: "f"}), events.ErrUnavailable)
}

// testConcurrent lets several hosts' worth of goroutines put, lose, retry and end events. Each event ends once.
func testConcurrent(r run) {
	const putters, takers, each = 4, 6, 25
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	var mu sync.Mutex
	put, ended := map[string]bool{}, map[string]int{}
	var all sync.WaitGroup
	for n := range putters {
		all.Go(func() {
			for i := range each {
				id := fmt.Sprint(rand.Text(), n, i)
				if err := r.Put(ctx, events.Event{ID: id, Function: fmt.Sprint(n), Content: []byte(id)}); err != nil {
					r.Error(err)
					return
				}
				mu.Lock()
				put[id] = true
				mu.Unlock()
			}
		})
	}
	for range takers {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				taken, _, err := r.Take(ctx, 3, time.Duration(n%2)*long+10*short)
				if err != nil {
					r.Error(err)
					return
				}
				if len(taken) == 0 {
					pause(short)
				}
				for i, e := range taken {
					switch {
					case n%2 == 0 && i == 0: // the lease is lost
					case e.Attempts == 0:
						err = r.Retry(ctx, e.LeaseID, short, events.Progress{Attempts: 1})
					default:
						if err = r.Done(ctx, e.LeaseID); err == nil {
							mu.Lock()
							ended[e.ID]++
							if len(ended) == putters*each {
								stop()
							}
							mu.Unlock()
						}
					}
					if err != nil && !errors.Is(err, events.ErrEnded) {
						r.Error(err)
					}
				}
			}
		})
	}
	timer := time.AfterFunc(hang, stop)
	all.Wait()
	timer.Stop()
	require.Len(r, ended, putters*each)
	for id := range put {
		require.Equal(r, 1, ended[id])
	}
}

// pause returns after a time.
func pause(d time.Duration) { <-time.After(d) }
