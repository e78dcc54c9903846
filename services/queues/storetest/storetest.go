// Package storetest is what every store of queues passes.
package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/queues"
)

// Store is the part of queues.Store that the store in a file has, too.
type Store interface {
	Put(ctx context.Context, queue string, r queues.Request, b queues.Bounds) error
	Take(ctx context.Context, queue string) (*queues.Order, error)
	GiveBack(ctx context.Context, queue, leaseID string) error
	Answer(ctx context.Context, queue, leaseID string, r queues.Result) error
	Result(ctx context.Context, queue, id string) (queues.Result, error)
}

// Open opens the same store each time. The previous one has been closed.
type Open func(t *testing.T) (s Store, closeStore func() error)

// hang bounds what a test waits for.
const hang = time.Minute

// run is a test with an open store.
type run struct {
	*testing.T
	s Store
}

// Run runs all tests. fresh returns how to open a store that is empty.
func Run(t *testing.T, fresh func(t *testing.T) Open) {
	for name, test := range map[string]func(r run){
		"Order":      testOrder,
		"Fence":      testFence,
		"OneLease":   testOneLease,
		"Deliveries": testDeliveries,
		"Deadline":   testDeadline,
		"GiveBack":   testGiveBack,
		"Bounds":     testBounds,
		"Unknown":    testUnknown,
		"Concurrent": testConcurrent,
	} {
		t.Run(name, func(t *testing.T) {
			s, closeStore := fresh(t)(t)
			test(run{t, s})
			require.NoError(t, closeStore())
		})
	}
	t.Run("Reopen", func(t *testing.T) { testReopen(t, fresh(t)) })
}

// Request returns a request that lasts an hour, with a lease of a minute. Bodies are compared by their text.
func Request(body string) queues.Request {
	return queues.Request{ID: rand.Text(), TTL: time.Hour, Lease: time.Minute, Redeliver: true, Environment: []byte(`{"OF":"` + body + `"}`), Body: []byte(body)}
}

// Wide are bounds that no test reaches.
func Wide() queues.Bounds { return queues.Bounds{Waiting: 10_000, Bytes: queues.MaxBytes} }

// Answer returns an answer.
func Answer(body string) queues.Result {
	return queues.Result{State: queues.Answered, Status: http.StatusTeapot, Header: http.Header{"X-Y": {"z", "\xff"}}, Body: []byte(body)}
}

func (r run) put(body string, change ...func(*queues.Request)) (id string) {
	r.Helper()
	q := Request(body)
	for _, f := range change {
		f(&q)
	}
	require.NoError(r, r.s.Put(r.Context(), "/q", q, Wide()))
	return q.ID
}

// take takes a request, which must have this body.
func (r run) take(body string) (leaseID string) {
	r.Helper()
	o, err := r.s.Take(r.Context(), "/q")
	require.NoError(r, err)
	require.NotNil(r, o, "a request waits")
	require.Equal(r, body, string(o.Body))
	require.Equal(r, `{"OF":"`+body+`"}`, string(o.Environment)) //nolint:testifylint // bytes
	require.NotEmpty(r, o.LeaseID)
	return o.LeaseID
}

// none checks that no request waits.
func (r run) none() {
	r.Helper()
	o, err := r.s.Take(r.Context(), "/q")
	require.NoError(r, err)
	require.Nil(r, o)
}

// await takes a request as soon as one waits.
func (r run) await() *queues.Order {
	r.Helper()
	var o *queues.Order
	require.Eventually(r, func() bool {
		var err error
		o, err = r.s.Take(r.Context(), "/q")
		return err == nil && o != nil
	}, hang, time.Millisecond)
	return o
}

func (r run) answer(leaseID, body string) error {
	return r.s.Answer(r.Context(), "/q", leaseID, Answer(body))
}

func (r run) state(id string) queues.State {
	r.Helper()
	result, err := r.s.Result(r.Context(), "/q", id)
	require.NoError(r, err)
	return result.State
}

// ends waits until a request has ended.
func (r run) ends(id string, as queues.State) {
	r.Helper()
	require.Eventually(r, func() bool { return r.state(id) != queues.Pending }, hang, time.Millisecond)
	require.Equal(r, as, r.state(id))
}

func short(q *queues.Request) { q.Lease = 20 * time.Millisecond }

func once(q *queues.Request) { q.Redeliver = false }

// testOrder hands requests out in the order of their coming, and keeps their results.
func testOrder(r run) {
	r.none()
	var ids []string
	for n := range 20 {
		ids = append(ids, r.put(fmt.Sprint(n)))
		require.Equal(r, queues.Pending, r.state(ids[n]))
	}
	for n := range 20 {
		require.NoError(r, r.answer(r.take(fmt.Sprint(n)), fmt.Sprint("answer ", n)))
	}
	r.none()
	for n, id := range ids {
		result, err := r.s.Result(r.Context(), "/q", id)
		require.NoError(r, err)
		result.Taken, result.Wait = false, 0
		want := Answer(fmt.Sprint("answer ", n))
		want.Header["X-Y"][1] = "\ufffd" // JSON has no other bytes
		require.Equal(r, want, result)
	}
	id := r.put("empty", func(q *queues.Request) { q.Body, q.Environment = nil, nil })
	o := r.await()
	require.Empty(r, o.Body)
	require.NoError(r, r.s.Answer(r.Context(), "/q", o.LeaseID, queues.Result{State: queues.Unusable}))
	r.ends(id, queues.Unusable)
}

// testFence refuses the answer of a lease that has ended. The request comes before newer ones.
func testFence(r run) {
	const lease = 300 * time.Millisecond
	id := r.put("first", func(q *queues.Request) { q.Lease = lease })
	late := r.take("first")
	r.put("second")
	<-time.After(lease + lease/2)
	current := r.take("first")
	require.ErrorIs(r, r.answer(late, "late"), queues.ErrEnded)
	for r.answer(current, "in time") != nil { // this machine is so busy that the lease has ended
		current = r.await().LeaseID
	}
	require.ErrorIs(r, r.answer(current, "another"), queues.ErrEnded)
	require.ErrorIs(r, r.answer(late, "later"), queues.ErrEnded)
	require.ErrorIs(r, r.s.GiveBack(r.Context(), "/q", current), queues.ErrEnded)
	result, err := r.s.Result(r.Context(), "/q", id)
	require.NoError(r, err)
	require.Equal(r, "in time", string(result.Body))
}

// testOneLease fails a request that must not be handed out again.
func testOneLease(r run) {
	id := r.put("once", short, once)
	lease := r.take("once")
	r.ends(id, queues.Failed)
	require.ErrorIs(r, r.answer(lease, "late"), queues.ErrEnded)
	r.none()
	id = r.put("once", once)
	require.NoError(r, r.answer(r.take("once"), "x"))
	r.ends(id, queues.Answered)
}

// testDeliveries fails a request that ends the leases of many workers.
func testDeliveries(r run) {
	id := r.put("deadly", short)
	for range queues.MaxDeliveries {
		r.await()
	}
	r.ends(id, queues.Failed)
	r.none()
}

// testDeadline fails requests that no worker answers in time.
func testDeadline(r run) {
	brief := func(q *queues.Request) { q.TTL = 20 * time.Millisecond }
	id := r.put("waits", brief)
	r.ends(id, queues.Failed)
	r.none()
	id = r.put("leased", func(q *queues.Request) { q.TTL = 300 * time.Millisecond })
	if o, err := r.s.Take(r.Context(), "/q"); err == nil && o != nil {
		r.ends(id, queues.Failed)
		require.ErrorIs(r, r.answer(o.LeaseID, "late"), queues.ErrEnded)
	}
	r.none()
}

// testGiveBack hands a request out again at once, as if it had not been taken.
func testGiveBack(r run) {
	id := r.put("first", once)
	r.put("second")
	for range 2 * queues.MaxDeliveries {
		lease := r.take("first")
		require.NoError(r, r.s.GiveBack(r.Context(), "/q", lease))
		require.ErrorIs(r, r.answer(lease, "x"), queues.ErrEnded)
	}
	require.NoError(r, r.answer(r.take("first"), "x"))
	r.ends(id, queues.Answered)
	r.take("second")
	r.none()
}

// testBounds bounds the requests that wait. Those at workers do not count.
func testBounds(r run) {
	few := queues.Bounds{Waiting: 3, Bytes: queues.MaxBytes}
	for n := range 3 {
		require.NoError(r, r.s.Put(r.Context(), "/q", Request(fmt.Sprint(n)), few))
	}
	refused := Request("3")
	require.ErrorIs(r, r.s.Put(r.Context(), "/q", refused, few), queues.ErrFull)
	_, err := r.s.Result(r.Context(), "/q", refused.ID)
	require.ErrorIs(r, err, queues.ErrNotFound)
	lease := r.take("0")
	require.NoError(r, r.s.Put(r.Context(), "/q", Request("3"), few))
	require.NoError(r, r.s.GiveBack(r.Context(), "/q", lease))
	require.ErrorIs(r, r.s.Put(r.Context(), "/q", Request("4"), few), queues.ErrFull)
	for n := range 4 {
		require.NoError(r, r.answer(r.take(fmt.Sprint(n)), "x"))
	}
	brief := Request("brief")
	brief.TTL = 10 * time.Millisecond
	for range 3 {
		require.NoError(r, r.s.Put(r.Context(), "/q", brief, few))
		r.ends(brief.ID, queues.Failed)
		brief.ID = rand.Text()
	}
	require.NoError(r, r.s.Put(r.Context(), "/q", Request("5"), few), "what has ended does not wait")
}

func testUnknown(r run) {
	_, err := r.s.Result(r.Context(), "/q", "no such id")
	require.ErrorIs(r, err, queues.ErrNotFound)
	require.ErrorIs(r, r.answer("no such lease", "x"), queues.ErrEnded)
	require.ErrorIs(r, r.s.GiveBack(r.Context(), "/q", "no such lease"), queues.ErrEnded)
}

// testReopen keeps requests, leases and results in a store that is closed and opened again.
func testReopen(t *testing.T, open Open) {
	var ids []string
	lease := ""
	again := func(f func(r run)) {
		s, closeStore := open(t)
		f(run{t, s})
		require.NoError(t, closeStore())
	}
	again(func(r run) {
		for n := range 4 {
			ids = append(ids, r.put(fmt.Sprint(n), once))
		}
		require.NoError(r, r.answer(r.take("0"), "zero"))
		lease = r.take("1")
	})
	again(func(r run) {
		require.Equal(r, queues.Answered, r.state(ids[0]))
		require.Equal(r, queues.Pending, r.state(ids[1]))
		r.take("2")
		require.NoError(r, r.answer(lease, "one"), "the worker has lived on")
	})
	again(func(r run) {
		require.ErrorIs(r, r.answer(lease, "two"), queues.ErrEnded)
		require.Equal(r, queues.Answered, r.state(ids[1]))
		require.NoError(r, r.answer(r.take("3"), "three"))
		r.none()
		require.Equal(r, queues.Answered, r.state(ids[3]))
	})
}

// testConcurrent puts, takes, returns and answers requests concurrently. Every request is at one worker at a time, and is answered once.
func testConcurrent(r run) {
	const clients, workers, each = 4, 4, 25
	var all sync.WaitGroup
	var mu sync.Mutex
	held, answers, ids := map[string]bool{}, map[string]int{}, map[string]string{}
	for c := range clients {
		all.Go(func() {
			for n := range each {
				q := Request(fmt.Sprint(c, "-", n))
				q.Lease = hang
				if err := r.s.Put(r.Context(), "/q", q, Wide()); err != nil {
					r.Errorf("put: %v", err)
					return
				}
				mu.Lock()
				ids[string(q.Body)] = q.ID
				mu.Unlock()
			}
		})
	}
	answered := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(answers)
	}
	deadline := time.Now().Add(hang)
	for w := range workers {
		all.Go(func() {
			for turn := 0; answered() < clients*each && time.Now().Before(deadline) && !r.Failed(); turn++ {
				o, err := r.s.Take(r.Context(), "/q")
				if err != nil {
					r.Errorf("take: %v", err)
				}
				if o == nil {
					continue
				}
				mu.Lock()
				if held[o.ID] {
					r.Errorf("%s is at two workers", o.Body)
				}
				held[o.ID] = true
				mu.Unlock()
				runtime.Gosched()
				mu.Lock()
				delete(held, o.ID) // the next worker can take it before this one hears that it has given it back
				mu.Unlock()
				if turn%5 == w {
					err = r.s.GiveBack(r.Context(), "/q", o.LeaseID)
				} else if err = r.answer(o.LeaseID, "to "+string(o.Body)); err == nil {
					mu.Lock()
					answers[string(o.Body)]++
					mu.Unlock()
				}
				if err != nil {
					r.Errorf("lease: %v", err)
				}
			}
		})
	}
	all.Wait()
	require.Len(r, answers, clients*each)
	for body, n := range answers {
		require.Equal(r, 1, n, body)
		result, err := r.s.Result(r.Context(), "/q", ids[body])
		require.NoError(r, err)
		require.Equal(r, "to "+body, string(result.Body))
	}
}
