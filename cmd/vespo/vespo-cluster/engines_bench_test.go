package main

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/enginetest"
	"github.com/vespo-dev/vespo/services/kv"
	"github.com/vespo-dev/vespo/services/kv/boltstore"
)

// BenchmarkEngines compares the engines in one run: gets, and puts of one key and of 16 writers.
func BenchmarkEngines(b *testing.B) {
	files, err := boltstore.Open(boltstore.Config{Dir: b.TempDir()})
	require.NoError(b, err)
	opened := map[string]kv.Engine{"files": files}
	for name, url := range map[string]string{
		"redis":    "redis://" + enginetest.StartRedis(b).Address,
		"postgres": "postgres://postgres@" + enginetest.StartPostgres(b).Address + "/postgres",
	} {
		opened[name], err = openKV(b.Context(), kv.Options{URL: url})
		require.NoError(b, err)
	}
	for name, s := range opened {
		put := func(n int) error {
			_, err := s.Write(b.Context(), "a", []kv.Change{{Key: fmt.Sprint(n % 100), Value: make([]byte, 100)}})
			return err
		}
		require.NoError(b, put(0))
		b.Run("get/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Get(b.Context(), "a", "0"); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("put/"+name, func(b *testing.B) {
			for n := 0; b.Loop(); n++ {
				if err := put(n); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("put16/"+name, func(b *testing.B) {
			b.SetParallelism(8)
			b.RunParallel(func(p *testing.PB) {
				for n := 0; p.Next(); n++ {
					if err := put(n); err != nil {
						b.Error(err)
					}
				}
			})
		})
		require.NoError(b, s.Close())
	}
}
