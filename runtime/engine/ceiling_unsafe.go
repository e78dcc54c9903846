package engine

import (
	"sync"
	_ "unsafe" // for go:linkname
)

// callStackCeiling is the largest number of calls in wazero's interpreter, 2,000 by default. wazero has no API for it. A
// test fails if a new version has renamed it.
//
//go:linkname callStackCeiling github.com/tetratelabs/wazero/internal/engine/interpreter.callStackCeiling
var callStackCeiling int

// interpretedCalls is more than the rewriter's count of the call stack allows for a stack of some MiB, so that recursion ends
// as in compiled code. Each call takes some 4 KiB of the stack of a goroutine, which can grow to 512 MiB.
const interpretedCalls = 60_000

// ceiling guards callStackCeiling, which is read by the interpreter.
var ceiling sync.Once

func raiseCallStackCeiling() {
	ceiling.Do(func() { callStackCeiling = interpretedCalls })
}
