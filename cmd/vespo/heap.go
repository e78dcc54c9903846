package main

import (
	"math"
	"runtime"
	"runtime/debug"
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
