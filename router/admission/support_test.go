package admission

import (
	"context"
	"sync"
	"time"
)

// testGate is a gate with limiters that keep the places of their requests.
type testGate struct{ *Gate }

func newTestGate(capacity int) testGate { return testGate{NewGate(capacity)} }

// testLimiter releases places in any order: tests do not say which of their requests ends.
type testLimiter struct {
	*Limiter
	mu   sync.Mutex
	held []*Place
}

func (g testGate) NewLimiter(limits Limits) *testLimiter {
	return &testLimiter{Limiter: g.Gate.NewLimiter(limits)}
}

func (l *testLimiter) Acquire(ctx context.Context) (time.Duration, error) {
	p, wait, err := l.Limiter.Acquire(ctx)
	if err == nil {
		l.mu.Lock()
		l.held = append(l.held, p)
		l.mu.Unlock()
	}
	return wait, err
}

func (l *testLimiter) Release() {
	l.mu.Lock()
	p := l.held[0]
	l.held = l.held[1:]
	l.mu.Unlock()
	p.Release()
}
