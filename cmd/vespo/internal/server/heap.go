package server

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/parts"
)

// heapFloorBytes is the least amount allocated between two garbage collections. Little of a
// server's heap outlives a request. The collector runs when the heap has doubled, so without
// a floor it would run every few hundred requests and take a tenth of the processor time.
const heapFloorBytes = 16 << 20

// raiseHeapFloor allocates ballast that the collector counts as live. It is never
// written, so it takes no physical memory. A memory limit (GOMEMLIMIT) would count
// it too; if one is set, there is no floor. The floor lasts until release is called.
func raiseHeapFloor() (release func()) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return func() {}
	}
	ballast := make([]byte, heapFloorBytes)
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

// heapTrimmer returns memory to the operating system after a deploy. Compiling a module briefly takes many
// times its size. Without trimming, the process would keep that memory for minutes, and longer when idle.
type heapTrimmer struct {
	wanted chan struct{} // capacity 1
}

// trimQuiet is the time without deploys before a trim, so that one collection serves several deploys.
const trimQuiet = 2 * time.Second

func newHeapTrimmer() *heapTrimmer { return &heapTrimmer{wanted: make(chan struct{}, 1)} }

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
	for {
		select {
		case <-h.wanted:
			quiet.Reset(trimQuiet)
		case <-quiet.C:
			trim()
		case <-ctx.Done():
			return
		}
	}
}
