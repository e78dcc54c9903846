package queue

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kinds/queue/internal/lease"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/stored"
)

// TestHammer runs clients, workers and durable versions concurrently.
// Every job must end once, and no resource may remain in use.
func TestHammer(t *testing.T) {
	store, err := stored.Open(filepath.Join(t.TempDir(), "requests.db"), time.Now(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close()) }()
	l := newLine("/jobs", nil, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	var clients, workers sync.WaitGroup
	for range 6 {
		workers.Go(func() { hammerWork(ctx, l) })
	}
	clients.Go(func() {
		for range 40 {
			if err := l.attach(store); err != nil {
				t.Error(err)
			}
			l.detach()
		}
	})
	answered := make([]int, 8)
	for c := range answered {
		clients.Go(func() {
			for range 300 {
				j := &job{done: make(chan struct{})}
				terms := lease.Terms{Deadline: time.Now().Add(time.Duration(rand.IntN(20)) * time.Millisecond), Lease: 2 * time.Millisecond, Redeliver: rand.IntN(2) == 0}
				for l.add(6, terms, j) != nil { // full
					runtime.Gosched()
				}
				if rand.IntN(4) == 0 {
					l.leave(j)
				}
				<-j.done // a second close would panic
				if (j.state == lease.Answered) != (j.answer != nil) {
					t.Error(j.state, j.answer)
				}
				if j.state == lease.Answered {
					answered[c]++
				}
			}
		})
	}
	clients.Wait()
	stop()
	workers.Wait()
	require.Zero(t, l.stats())
	require.NotContains(t, answered, 0)
	l.close()
}

// hammerWork takes orders. At random it answers an order, returns it to
// the queue or drops it. It also answers with leases that have ended.
func hammerWork(ctx context.Context, l *line) {
	for ctx.Err() == nil {
		patience, cancel := context.WithTimeout(ctx, time.Duration(rand.IntN(3))*time.Millisecond)
		o, _ := l.await(patience, nil)
		cancel()
		if o == nil {
			o = l.take()
		}
		if o == nil {
			continue
		}
		switch rand.IntN(5) {
		case 0:
			l.giveBack(ctx, o)
		case 1: // drop the order
		default:
			l.answer(o.leaseID, &reply{})
		}
		if l.answer(o.leaseID, &reply{}) != nil && rand.IntN(2) == 0 {
			l.giveBack(ctx, o)
		}
	}
}
