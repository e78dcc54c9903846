package spare

import (
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func all(*int) bool { return true }

func TestAValueIsFoundAgain(t *testing.T) {
	s := New[int]()
	shelf := s.Near()
	a, b := new(int), new(int)
	require.Nil(t, shelf.Put(a))
	require.Nil(t, shelf.Take(func(v *int) bool { return v == b }))
	require.Same(t, a, shelf.Take(all))
	require.Nil(t, shelf.Take(all))
	require.Nil(t, shelf.Put(a))
	require.Nil(t, shelf.Put(b))
	require.Same(t, b, shelf.Take(all), "that put last")
	require.False(t, shelf.Retract(b))
	require.True(t, shelf.Retract(a))
	require.False(t, shelf.Retract(a))
}

func TestAFullShelfGivesUpTheOthersInTurn(t *testing.T) {
	shelf := New[int]().Near()
	var left []*int
	for range 3 * width {
		v := new(int)
		if displaced := shelf.Put(v); displaced != nil {
			require.NotSame(t, v, displaced)
			left = append(left, displaced)
		}
	}
	require.Len(t, left, 2*width)
	for v := shelf.Take(all); v != nil; v = shelf.Take(all) {
		left = append(left, v)
	}
	seen := make(map[*int]bool)
	for _, v := range left {
		seen[v] = true
	}
	require.Len(t, seen, 3*width, "each value has left once")
}

func TestSweepFindsAllThatFit(t *testing.T) {
	s := New[int]()
	want := 0
	for i := range s.all {
		for n := range width {
			require.Nil(t, s.all[i].Put(&n))
			want += n % 2
		}
	}
	odd, rest := 0, 0
	s.Sweep(func(v *int) bool { return *v%2 == 1 }, func(*int) { odd++ })
	s.Each(func(v *int) { rest += 1 - *v%2 })
	require.Equal(t, want, odd)
	require.Equal(t, width*len(s.all)-want, rest)
}

func TestShelvesShareNoCacheLine(t *testing.T) {
	require.EqualValues(t, 128, reflect.TypeFor[Shelf[int]]().Size())
}

// TestHammer checks that no value is lost or given out twice, and that none stays on a shelf once the flag is set.
func TestHammer(t *testing.T) {
	const values = 8
	s := New[int]()
	var used [values]atomic.Int32
	var closed atomic.Bool
	var ended atomic.Int32 // values that are on no shelf
	numbers := make([]int, values)
	for i := range numbers {
		numbers[i] = i
		if s.Near().Put(&numbers[i]) != nil {
			ended.Add(1)
		}
	}
	var working sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for range 20_000 {
				shelf := s.Near()
				v := shelf.Take(all)
				if v == nil {
					continue
				}
				if n := used[*v].Add(1); n != 1 {
					t.Errorf("value %d is used %d times", *v, n)
				}
				used[*v].Add(-1)
				if closed.Load() {
					ended.Add(1)
					continue
				}
				if shelf.Put(v) != nil {
					ended.Add(1)
				}
				if closed.Load() && shelf.Retract(v) {
					ended.Add(1)
				}
			}
		})
	}
	runtime.Gosched()
	closed.Store(true)
	s.Sweep(all, func(*int) { ended.Add(1) })
	working.Wait()
	s.Each(func(v *int) { t.Errorf("value %d stayed", *v) })
	require.EqualValues(t, values, ended.Load())
}
