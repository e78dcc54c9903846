package admission

import (
	"context"
	"net/netip"
	"testing"
	"time"
)

func BenchmarkAcquireRelease(b *testing.B) {
	l := NewGate(64).NewLimiter(Limits{Queue: 8, Wait: time.Second})
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		p, _, err := l.Acquire(ctx)
		if err != nil {
			b.Fatal(err)
		}
		p.Release()
	}
}

func BenchmarkAcquireReleaseParallel(b *testing.B) {
	l := NewGate(64).NewLimiter(Limits{Queue: 1000, Wait: time.Minute})
	ctx := context.Background()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, _, err := l.Acquire(ctx)
			if err != nil {
				b.Error(err)
				return
			}
			p.Release()
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
			p, _, err := l.Acquire(ctx)
			if err != nil {
				b.Error(err)
				return
			}
			p.Release()
		}
	})
}

// BenchmarkShareParallel measures requests of one client.
func BenchmarkShareParallel(b *testing.B) {
	s := NewShare[netip.Addr](64, 64, time.Minute)
	ctx, client := context.Background(), netip.MustParseAddr("192.0.2.1")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, _, err := s.Acquire(ctx, client)
			if err != nil {
				b.Error(err)
				return
			}
			p.Release()
		}
	})
}
