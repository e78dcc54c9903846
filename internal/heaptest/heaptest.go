// Package heaptest shows tests whether a short text keeps a large one in memory.
package heaptest

import (
	"runtime"
	"strings"
)

// Large is the size of a text of which Part returns a part, in bytes.
const Large = 1 << 20

// Part returns a text as a part of one of Large bytes, as those of a request are parts of its whole head. It has at most Large bytes.
func Part(text string) string {
	return (strings.Repeat(" ", Large-len(text)) + text)[Large-len(text):]
}

// InUse collects garbage, and returns the bytes that are in use after it.
func InUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
