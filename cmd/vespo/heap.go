package main

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"time"
)

// heapFloorBytes is how much is allocated between two garbage collections at least. Little of a server's heap lives longer than a
// request, so that the collector, which takes its turn whenever the heap has doubled, would run at every few hundred requests and
// take a tenth of the processor.
const heapFloorBytes = 16 << 20

// raiseHeapFloor makes the collector count bytes that are never written, and so never take memory of the machine, among those that
// live. A limit that the user has set for the memory (GOMEMLIMIT) counts them too; then there is no floor. The floor lasts until
// release is called.
func raiseHeapFloor() (release func()) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return func() {}
	}
	ballast := make([]byte, heapFloorBytes)
	return func() { runtime.KeepAlive(ballast) }
}

// heapTrimmer gives what a deploy leaves behind back to the operating system. To compile a module takes many times its size, for a
// moment; without this the memory would stay with the process for minutes, the longer the less it has to do.
type heapTrimmer struct {
	wanted chan struct{} // holds one
}

// trimQuiet is for how long nothing must have been deployed: one collection does for several deploys.
const trimQuiet = 2 * time.Second

func newHeapTrimmer() *heapTrimmer { return &heapTrimmer{wanted: make(chan struct{}, 1)} }

// want asks for a trim, soon. It does not wait.
func (h *heapTrimmer) want() {
	select {
	case h.wanted <- struct{}{}:
	default:
	}
}

// run trims whenever it is wanted, until ctx ends.
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
