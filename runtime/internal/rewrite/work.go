package rewrite

import (
	"fmt"
	"math"
)

// Limits of the estimated cost of compiling: a base, an amount for each byte of the
// function or module, and a maximum. The compiler cannot be interrupted within a function,
// and it is made for the output of toolchains: parts of its work grow with the square or
// the cube of a function's size. RATIONALE.md has the costs of large real programs.
var (
	limitFunctionTime   = costLimit{4e9, 40e3, 30e9} // ns
	limitFunctionMemory = costLimit{512 << 20, 4 << 10, 2 << 30}
	limitModuleTime     = costLimit{10e9, 60e3, 1200e9} // ns
	limitModuleCode     = costLimit{16 << 20, 16, 1 << 30}
)

// Limits of what a module declares, which bound the work of decoding it.
var (
	limitMerges = costLimit{16 * maxEntries, 64, math.MaxInt64} // merged values, see frameEstimator
	limitLocals = costLimit{maxEntries, 2, math.MaxInt64}       // local variables in all functions
)

type costLimit struct{ base, perByte, most int64 }

func (l costLimit) of(bytes int) int64 { return min(l.base+l.perByte*int64(bytes), l.most) }

// budget is of for a limit that fits an int.
func (l costLimit) budget(bytes int) int { return int(l.of(bytes)) }

// leastBytes returns the size of the smallest module for which a cost of at most l.most is within the limit.
func (l costLimit) leastBytes(cost int64) int {
	return int(max(0, cost-l.base+l.perByte-1) / l.perByte)
}

// MaxCodeBytes returns the largest machine code accepted for a module of this size.
func MaxCodeBytes(moduleBytes int) int64 { return limitModuleCode.of(moduleBytes) }

// LeastBytesForCode returns the size of the smallest module that may have this much machine code.
func LeastBytesForCode(codeBytes int64) int { return limitModuleCode.leastBytes(codeBytes) }

// costOfModule returns the cost of a module besides its functions' code:
// the globals in each function, and the entry from the host for each type.
func (w *writer) costOfModule() (c Cost, err error) {
	var values, widest int64
	for _, t := range w.m.types {
		n := int64(len(t.Params) + len(t.Results))
		values, widest = values+n, max(widest, n)
	}
	functions, globals := int64(len(w.m.bodies)), int64(len(w.m.globals)+len(w.m.refFuncs))
	c.Nanoseconds = typeTime*values + globalTime*globals*functions
	c.MemoryBytes = typeMemory*values + widestMemory*widest + functionMemory*functions
	c.CodeBytes = typeCode * values
	if most := limitModuleTime.of(len(w.m.bin)); c.Nanoseconds > most {
		err = &Error{
			Kind: ErrLimit,
			Detail: fmt.Sprintf("%d globals are too many for %d functions: they are estimated to take %d ms to compile, "+
				"the limit is %d ms: use fewer globals", globals, functions, c.Nanoseconds/1e6, most/1e6),
		}
	}
	return c, err
}

// addWhole adds the memory for the module as a whole: the input, and the code in pieces and joined.
func (w *writer) addWhole(total *Cost, bytes int) {
	total.MemoryBytes += 2*total.CodeBytes + 3*int64(bytes)
}

// addCost adds the cost of a function; bytes is its rewritten size.
// It returns an error if the function or the total exceeds a limit.
func (w *writer) addCost(total *Cost, function, bytes int, c Cost) error {
	total.Nanoseconds += c.Nanoseconds
	total.MemoryBytes = max(total.MemoryBytes, c.MemoryBytes)
	total.CodeBytes += c.CodeBytes
	size := len(w.m.bin)
	refuse := func(what string, format string, cost, limit int64) error {
		return &Error{
			Kind:   ErrLimit,
			Offset: w.m.bodies[function-w.m.importedFuncs].at,
			Detail: fmt.Sprintf(
				"%s %s: estimated "+format+", the limit is "+format+": split the function, or build with -Os", w.m.describe(function), what, cost, limit),
		}
	}
	const ms, kib = "%d ms", "%d KiB"
	switch {
	case c.Nanoseconds > limitFunctionTime.of(bytes):
		return refuse("takes too long to compile", ms, c.Nanoseconds/1e6, limitFunctionTime.of(bytes)/1e6)
	case c.MemoryBytes > limitFunctionMemory.of(bytes):
		return refuse("takes too much memory to compile", kib, c.MemoryBytes>>10, limitFunctionMemory.of(bytes)>>10)
	case c.CodeBytes > MaxCodeBytes(size):
		return refuse("becomes too much machine code", kib, c.CodeBytes>>10, MaxCodeBytes(size)>>10)
	case total.Nanoseconds > limitModuleTime.of(size):
		return refuse("and those before it take too long to compile", ms, total.Nanoseconds/1e6, limitModuleTime.of(size)/1e6)
	case total.CodeBytes > MaxCodeBytes(size):
		return refuse("and those before it become too much machine code", kib, total.CodeBytes>>10, MaxCodeBytes(size)>>10)
	}
	return nil
}
