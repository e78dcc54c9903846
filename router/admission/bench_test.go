package admission

import (
	"context"
	"testing"
	"time"
)

func BenchmarkAcquireRelease(b *testing.B) {
	l := NewGate(64).NewLimiter(Limits{Queue: 8, Wait: time.Second})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := l.Acquire(ctx); err != nil {
			b.Fatal(err)
		}
		l.Release()
	}
}

func BenchmarkAcquireReleaseParallel(b *testing.B) {
	l := NewGate(64).NewLimiter(Limits{Queue: 1000, Wait: time.Minute})
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Acquire(ctx); err != nil {
				b.Error(err)
				return
			}
			l.Release()
		}
	})
}

// BenchmarkHandover measures a turn in the queue: two goroutines share a capacity of one.
func BenchmarkHandover(b *testing.B) {
	l := NewGate(1).NewLimiter(Limits{Queue: 1000, Wait: time.Minute})
	ctx := context.Background()
	b.ReportAllocs()
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Acquire(ctx); err != nil {
				b.Error(err)
				return
			}
			l.Release()
		}
	})
}
