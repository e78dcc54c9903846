package admission

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// model counts the capacity that the requests of a gate use independently.
type model struct {
	gate     testGate
	limiters []*testLimiter
	total    atomic.Int64 // capacity in use
	each     []atomic.Int64
	changing bool // limits change while requests run; set before them
}

func newModel(random *rand.Rand) *model {
	g := newTestGate(1 + random.IntN(6))
	m := &model{gate: g, each: make([]atomic.Int64, 1+random.IntN(5))}
	for range m.each {
		m.limiters = append(m.limiters, g.NewLimiter(Limits{
			Concurrency: random.IntN(4),
			Weight:      1 + random.IntN(5)/2,
			Queue:       random.IntN(8),
			Wait:        time.Duration(1+random.IntN(20)) * time.Millisecond,
		}))
	}
	return m
}

// most returns the limit of requests in flight. While others change it, that is the largest one.
func (m *model) most(l *testLimiter) int {
	if m.changing {
		return l.limits.Concurrency
	}
	m.gate.mu.Lock()
	defer m.gate.mu.Unlock()
	return l.most
}

// request passes through one limiter, holds its capacity for a while, and checks the limits meanwhile.
func (m *model) request(t *testing.T, ctx context.Context, i int, hold time.Duration) {
	l := m.limiters[i]
	if _, err := l.Acquire(ctx); err != nil {
		return
	}
	weight := int64(l.limits.Weight)
	if n := m.total.Add(weight); n > int64(m.gate.capacity) {
		t.Errorf("%d in use, capacity %d", n, m.gate.capacity)
	}
	if n, most := m.each[i].Add(1), m.most(l); n > int64(most) {
		t.Errorf("%d in flight for one service, concurrency %d", n, most)
	}
	time.Sleep(hold)
	m.total.Add(-weight)
	m.each[i].Add(-1)
	l.Release()
}

// requireNoLostWakeUp checks that no request waits that could run. Call it while all goroutines are blocked.
func (m *model) requireNoLostWakeUp(t *testing.T) {
	m.gate.mu.Lock()
	defer m.gate.mu.Unlock()
	queued, inFlight, ready := 0, 0, 0
	for _, l := range m.limiters {
		queued += l.queue.length
		inFlight += l.inFlight * l.limits.Weight
		waits := l.queue.length > 0
		tight := waits || l.inFlight > l.most
		require.Equal(t, tight, l.tight.Load())
		m.gate.spare.Each(func(p *Place) {
			require.False(t, tight && p.limiter == l.Limiter, "a place is spare while a request of its service waits, or while these are too many")
		})
		couldRun := waits && l.inFlight < l.most
		require.Equal(t, couldRun, l.next != nil, "a limiter is in the turn just if it could run a waiter")
		if couldRun {
			ready++
		}
		require.LessOrEqual(t, l.queue.length, l.limits.Queue)
	}
	require.Equal(t, queued, m.gate.queued)
	require.Equal(t, inFlight, m.gate.inFlight)
	require.Equal(t, ready > 0, m.gate.tight.Load())
	if first := m.gate.ready.first(); first != nil {
		require.Greater(t, m.gate.usedLocked()+first.limits.Weight, m.gate.capacity, "capacity is free and the waiter whose turn it is could use it")
	}
}

// TestBoundsHoldAndNoWakeUpIsLost lets random requests arrive, wait, time out and leave on
// a fake clock, and checks the gate whenever all goroutines are blocked.
func TestBoundsHoldAndNoWakeUpIsLost(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			m := newModel(random)
			for range 150 {
				ctx, cancel := context.WithCancel(t.Context())
				i, hold := random.IntN(len(m.limiters)), time.Duration(random.IntN(5))*time.Millisecond
				go m.request(t, ctx, i, hold)
				switch random.IntN(4) {
				case 0:
					go func() { time.Sleep(hold); cancel() }()
				case 1:
					time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
				case 2:
					synctest.Wait()
					m.limiters[random.IntN(len(m.limiters))].Limit(random.IntN(5))
				}
				synctest.Wait()
				m.requireNoLostWakeUp(t)
				t.Cleanup(cancel)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			require.Equal(t, GateStats{Capacity: m.gate.capacity}, m.gate.Stats())
			require.Zero(t, m.total.Load())
		})
	}
}

// TestHammer is the same with real parallelism, for the race detector.
func TestHammer(t *testing.T) {
	for seed := range uint64(5) {
		random := rand.New(rand.NewPCG(seed, 2))
		m := newModel(random)
		m.changing = true
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 500 {
				m.limiters[random.IntN(len(m.limiters))].Limit(random.IntN(5))
			}
		})
		for worker := range uint64(16) {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(seed, worker))
				for range 200 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(2000))*time.Microsecond)
					m.request(t, ctx, random.IntN(len(m.limiters)), 0)
					cancel()
				}
			})
		}
		wg.Wait()
		m.requireNoLostWakeUp(t)
		require.Equal(t, GateStats{Capacity: m.gate.capacity}, m.gate.Stats())
	}
}
