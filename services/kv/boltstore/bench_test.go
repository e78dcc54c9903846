package boltstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/kv"
)

// BenchmarkStore measures puts and gets of 100 bytes in a store of 1000 keys, with so many goroutines for each processor.
// Puts share fsyncs, so that their rate grows with the goroutines. "gets beside puts" has one writer without a pause.
func BenchmarkStore(b *testing.B) {
	s, err := Open(Config{Dir: b.TempDir()})
	require.NoError(b, err)
	value := make([]byte, 100)
	write := func(n int64) error {
		_, err := s.Write(context.Background(), "a", []kv.Change{{Key: fmt.Sprint("key", n%1000), Value: value}})
		return err
	}
	for n := range int64(1000) {
		require.NoError(b, write(n))
	}
	read := func(n int64) error {
		_, err := s.Get(context.Background(), "a", fmt.Sprint("key", n%1000))
		return err
	}
	run := func(name string, parallel int, operation func(int64) error) {
		b.Run(name, func(b *testing.B) {
			b.SetParallelism(parallel)
			var n atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := operation(n.Add(1)); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "op/s")
		})
	}
	run("puts/1", 1, write)
	run("puts/8", 8, write)
	run("puts/32", 32, write)
	run("gets/1", 1, read)
	run("gets/32", 32, read)
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		defer close(stopped)
		for n := int64(0); ; n++ {
			select {
			case <-stop:
				return
			default:
				_ = write(n)
			}
		}
	}()
	run("gets beside puts", 1, read)
	close(stop)
	<-stopped
	require.NoError(b, s.Close())
}
