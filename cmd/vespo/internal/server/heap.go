package server

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
)

// heapFloorBytes is the least amount allocated between two garbage collections. Little of a
// server's heap outlives a request. The collector runs when the heap has doubled, so without
// a floor it would run every few hundred requests and take a tenth of the processor time.
const heapFloorBytes = 16 << 20

// raiseHeapFloor allocates ballast that the collector counts as live. It is never
// written, and takes no physical memory: where the heap was used before, such as for a long configuration file, the allocation
// has cleared it, and it is released. A memory limit (GOMEMLIMIT) would count
// it too; if one is set, there is no floor. The floor lasts until release is called.
func raiseHeapFloor() (release func()) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return func() {}
	}
	ballast := make([]byte, heapFloorBytes)
	releaseZeros(ballast)
	return func() { runtime.KeepAlive(ballast) }
}

// openHeapFloor raises the floor, as a part of list.
func openHeapFloor(ctx context.Context, list *parts.List) error {
	var release func()
	return list.Open(ctx, parts.Part{
		Name:  "the floor of the heap",
		Open:  func(context.Context) error { release = raiseHeapFloor(); return nil },
		Close: func(context.Context) error { release(); return nil },
	})
}

// heapTrimmer returns memory to the operating system after deploys and evictions. Compiling a module briefly takes many
// times its size. Without trimming, the process would keep that memory for minutes, and longer when idle. The code of an evicted
// module is unmapped by a collection alone: the collector does not know how large it is.
type heapTrimmer struct {
	wanted  chan struct{} // capacity 1
	urgent  chan struct{} // capacity 1
	waiting atomic.Int64  // atomic; bytes that were unloaded since the last trim
}

const (
	// trimQuiet is the time without deploys before a trim, so that one collection serves several deploys.
	trimQuiet = 2 * time.Second
	// trimPatience is the longest time before a trim, if deploys and evictions go on.
	trimPatience = 20 * time.Second
	// trimBytes is the unloaded memory that does not wait: many services that wake each other's place would
	// exceed --code-memory by the code that is not unmapped yet.
	trimBytes = 64 << 20
)

func newHeapTrimmer() *heapTrimmer {
	return &heapTrimmer{wanted: make(chan struct{}, 1), urgent: make(chan struct{}, 1)}
}

// unloaded requests a trim after code was unloaded. It does not block.
func (h *heapTrimmer) unloaded(bytes int64) {
	if h.waiting.Add(bytes) < trimBytes {
		h.want()
		return
	}
	select {
	case h.urgent <- struct{}{}:
	default:
	}
}

// want requests a trim after trimQuiet. It does not block.
func (h *heapTrimmer) want() {
	select {
	case h.wanted <- struct{}{}:
	default:
	}
}

// run trims on request until ctx ends.
func (h *heapTrimmer) run(ctx context.Context, trim func()) {
	quiet := time.NewTimer(trimQuiet)
	quiet.Stop()
	defer quiet.Stop()
	var first time.Time // request since the last trim; zero: none
	for {
		select {
		case <-h.wanted:
			if first.IsZero() {
				first = time.Now()
			}
			quiet.Reset(min(trimQuiet, time.Until(first.Add(trimPatience))))
			continue
		case <-h.urgent:
		case <-quiet.C:
		case <-ctx.Done():
			return
		}
		h.waiting.Store(0)
		quiet.Stop()
		first = time.Time{}
		trim()
	}
}
