package concurrent

import (
	"fmt"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// MaxHandles bounds the handles of a task: ends of streams and futures, subtasks, waitable sets and error contexts.
const MaxHandles = 1 << 13

// table maps the numbers that a guest uses to what they stand for. Number 0 is never used.
type table struct {
	elems []any // elems[0] has number 1; nil if the number is free
	free  []uint32
}

// add returns the number of a new entry: the one freed last, or the next one.
func (t *table) add(e any) uint32 {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		t.elems[i-1] = e
		return i
	}
	if len(t.elems) == MaxHandles {
		trap("the guest holds more than %d streams, futures, subtasks and waitable sets", MaxHandles)
	}
	t.elems = append(t.elems, e)
	return uint32(len(t.elems))
}

// at returns the entry with this number, or nil.
func (t *table) at(i uint32) any {
	if i == 0 || int64(i) > int64(len(t.elems)) {
		return nil
	}
	return t.elems[i-1]
}

func (t *table) remove(i uint32) {
	t.elems[i-1] = nil
	t.free = append(t.free, i)
}

func (t *table) reset() {
	clear(t.elems)
	t.elems, t.free = t.elems[:0], t.free[:0]
}

// count returns the number of entries.
func (t *table) count() int { return len(t.elems) - len(t.free) }

// lookup returns the entry with this number. The guest traps unless it is an E; what names an E.
func lookup[E any](t *table, i uint32, what string) E {
	e, ok := t.at(i).(E)
	if !ok {
		trap("%d is not the handle of %s", i, what)
	}
	return e
}

// trap ends the guest.
func trap(format string, args ...any) {
	panic(engine.Fault{Reason: fmt.Sprintf(format, args...)})
}
