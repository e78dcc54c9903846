package rewrite

import "fmt"

// Limits of what compiling may take, by the estimate: so much for any function or module, more for each of its bytes, and at most. The
// compiler cannot be broken off within a function, and it was made for what toolchains emit: parts of its work grow with the square or
// the cube of what a function has. RATIONALE.md has what large real programs need.
var (
	limitFunctionTime   = costLimit{4e9, 40e3, 30e9} // ns
	limitFunctionMemory = costLimit{512 << 20, 4 << 10, 2 << 30}
	limitModuleTime     = costLimit{10e9, 60e3, 1200e9} // ns
	limitModuleCode     = costLimit{16 << 20, 16, 1 << 30}
)

type costLimit struct{ base, perByte, most int64 }

func (l costLimit) of(bytes int) int64 { return min(l.base+l.perByte*int64(bytes), l.most) }

// MaxCodeBytes is the most machine code that a module of this size may become.
func MaxCodeBytes(moduleBytes int) int64 { return limitModuleCode.of(moduleBytes) }

// costOfModule is what a module costs beside its functions' code: what each function takes for each global, and the way in from the host for
// each type.
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
		err = &Error{Kind: ErrLimit, Detail: fmt.Sprintf("%d globals are too many for %d functions: they are estimated to take %d ms to compile, "+
			"the limit is %d ms: use fewer globals", globals, functions, c.Nanoseconds/1e6, most/1e6)}
	}
	return c, err
}

// addWhole counts the memory for the module as a whole: what is read, and the code in pieces and together.
func (w *writer) addWhole(total *Cost, bytes int) {
	total.MemoryBytes += 2*total.CodeBytes + 3*int64(bytes)
}

// addCost counts a function, of so many bytes when rewritten, and fails where it or all so far are too much.
func (w *writer) addCost(total *Cost, function, bytes int, c Cost) error {
	total.Nanoseconds += c.Nanoseconds
	total.MemoryBytes = max(total.MemoryBytes, c.MemoryBytes)
	total.CodeBytes += c.CodeBytes
	size := len(w.m.bin)
	refuse := func(what string, format string, cost, limit int64) error {
		return &Error{Kind: ErrLimit, Offset: w.m.bodies[function-w.m.importedFuncs].code.from, Detail: fmt.Sprintf(
			"%s %s: estimated "+format+", the limit is "+format+": split the function, or build with -Os", w.m.describe(function), what, cost, limit)}
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
