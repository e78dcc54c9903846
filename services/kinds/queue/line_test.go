package queue

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/queue/internal/lease"
)

// join adds a job with a timeout of one minute and a lease of 10 s.
func join(t *testing.T, l *line, redeliver bool) *job {
	t.Helper()
	j := &job{done: make(chan struct{})}
	require.NoError(t, l.add(10, lease.Terms{Deadline: time.Now().Add(time.Minute), Lease: 10 * time.Second, Redeliver: redeliver}, j))
	return j
}

// TestTimes checks that due events of a line happen in time without any call.
func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine("/jobs", nil, slog.New(slog.DiscardHandler))
		defer l.close()
		start := time.Now()
		unwanted, lost, again := join(t, l, false), join(t, l, false), join(t, l, true)
		l.leave(unwanted)
		require.Same(t, lost, l.take().job)
		require.Same(t, again, l.take().job)
		require.Nil(t, l.take())
		second, _ := l.await(context.Background(), nil)
		require.Same(t, again, second.job)
		require.Equal(t, 10*time.Second, time.Since(start))
		<-lost.done
		require.Equal(t, 10*time.Second, time.Since(start))
		require.Equal(t, lease.Expired, lost.state)
		never := join(t, l, true)
		require.Same(t, again, l.answer(second.leaseID, &reply{}).entry.Value)
		<-again.done
		require.Equal(t, lease.Answered, again.state)
		<-never.done
		require.Equal(t, 70*time.Second, time.Since(start))
		wait, taken := l.waited(never)
		require.Equal(t, time.Minute, wait)
		require.False(t, taken)
	})
}

// TestWorkersTakeTurns checks that the worker that has waited longest is
// served first, and that a job passes to the next worker if one gives up.
func TestWorkersTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine("/jobs", nil, slog.New(slog.DiscardHandler))
		served := make(chan int, 3)
		for n := range 3 {
			go func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Hour)
				defer cancel()
				if o, _ := l.await(ctx, nil); o != nil {
					served <- n
				}
			}()
			synctest.Wait()
		}
		join(t, l, false)
		require.Equal(t, 1, <-served, "the first is gone")
		join(t, l, false)
		require.Equal(t, 2, <-served)
		end := make(chan *order)
		go func() {
			o, _ := l.await(context.Background(), nil)
			end <- o
		}()
		synctest.Wait()
		l.close()
		require.Nil(t, <-end)
		o, _ := l.await(context.Background(), nil)
		require.Nil(t, o)
		synctest.Wait()
	})
}

// TestHandToOneWorker checks that of several requests at once, one is handed to the only worker: the others would wait here, where
// workers of other hosts do not see them.
func TestHandToOneWorker(t *testing.T) {
	terms := lease.Terms{Deadline: time.Now().Add(time.Hour), Lease: time.Hour}
	for range 1000 {
		l := newLine("/jobs", nil, slog.New(slog.DiscardHandler))
		taken := make(chan struct{})
		go func() {
			defer close(taken)
			l.await(t.Context(), nil)
		}()
		for l.stats().workers == 0 {
			runtime.Gosched()
		}
		var handed atomic.Int32
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() {
				if l.hand(10, terms, &job{done: make(chan struct{})}) {
					handed.Add(1)
				}
			})
		}
		running.Wait()
		<-taken
		require.EqualValues(t, 1, handed.Load())
		require.Zero(t, l.stats().waiting)
		l.close()
	}
}

func TestLeases(t *testing.T) {
	p := &plan{timeout: time.Minute}
	require.Equal(t, 30*time.Second, p.leaseFor(true), "there is time for another")
	require.Equal(t, time.Minute, p.leaseFor(false))
	p.lease = 5 * time.Second
	require.Equal(t, 5*time.Second, p.leaseFor(true))
	require.Equal(t, 5*time.Second, p.leaseFor(false))
}
