// Package spare keeps values that a processor has just used where the same processor finds them again. A value that
// goes from a request to the next one on its processor then needs no lock and no memory that other processors write to.
//
// An owner counts the values on shelves as taken, and collects them by Sweep when they are needed elsewhere. So that none is missed, the
// owner sets a flag before it sweeps. A caller that puts a value on a shelf reads the flag afterwards and, if it is set, takes the
// value back by Retract. Then either the sweep or the reader finds the value.
package spare

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// width is the number of values on a shelf.
const width = 4

// Shelves has one shelf for each processor. It is safe for concurrent use. Create it with New.
type Shelves[T any] struct {
	all  []Shelf[T]
	last atomic.Uint32 // index in all of the shelf given out last
	near sync.Pool     // of *Shelf[T]; each processor finds the one that it used last
}

// Shelf is the place of a few values. It has two cache lines of its own, as processors fetch lines in pairs.
type Shelf[T any] struct {
	values [width]atomic.Pointer[T]
	oldest atomic.Uint32 // index of the value that leaves next if the shelf is full
	_      [128 - 8*width - 4]byte
}

// New returns empty shelves, one for each processor that Go uses now.
func New[T any]() *Shelves[T] {
	return &Shelves[T]{all: make([]Shelf[T], max(1, runtime.GOMAXPROCS(0)))}
}

// Near returns the shelf of the processor that runs the caller, and sometimes that of another one.
func (s *Shelves[T]) Near() *Shelf[T] {
	shelf, ok := s.near.Get().(*Shelf[T])
	if !ok {
		shelf = &s.all[s.last.Add(1)%uint32(len(s.all))]
	}
	s.near.Put(shelf)
	return shelf
}

// Each calls f with every value on a shelf. A value that changes its place meanwhile may be missed or come twice.
func (s *Shelves[T]) Each(f func(*T)) {
	for i := range s.all {
		for j := range s.all[i].values {
			if v := s.all[i].values[j].Load(); v != nil {
				f(v)
			}
		}
	}
}

// Sweep takes all values that fit from the shelves and calls f with each.
func (s *Shelves[T]) Sweep(fits func(*T) bool, f func(*T)) {
	for i := range s.all {
		for v := s.all[i].Take(fits); v != nil; v = s.all[i].Take(fits) {
			f(v)
		}
	}
}

// Take takes a value that fits from the shelf, that put last if there are several; nil: there is none. fits may read what no one changes in a value, as
// the value may be in use again.
func (s *Shelf[T]) Take(fits func(*T) bool) *T {
	for i := len(s.values) - 1; i >= 0; i-- {
		if v := s.values[i].Load(); v != nil && fits(v) && s.values[i].CompareAndSwap(v, nil) {
			return v
		}
	}
	return nil
}

// Put puts a value on the shelf. If the shelf is full, another value leaves it and is returned.
func (s *Shelf[T]) Put(v *T) (displaced *T) {
	for i := range s.values {
		if s.values[i].Load() == nil && s.values[i].CompareAndSwap(nil, v) {
			return nil
		}
	}
	return s.values[s.oldest.Add(1)%width].Swap(v)
}

// Retract takes a value back, and reports whether it was on the shelf.
func (s *Shelf[T]) Retract(v *T) bool {
	return s.Take(func(o *T) bool { return o == v }) != nil
}
