package rewrite

// The compiler behind us is made for what toolchains emit: some of its work grows with the square or the cube of what a function has,
// cannot be broken off, and would keep a processor busy for minutes, for a module of some kilobytes. The bounds below are several
// times what large real programs need (SpiderMonkey, Python, SQLite and esbuild among them; see RATIONALE.md).
const (
	maxBlocks     = 24_000    // of one function
	maxLoops      = 2_000     // of one function
	maxLoopLocals = 1_000_000 // loops x local variables of one function
	maxGlobalWork = 1 << 28   // of all functions

	// Of all functions, and as much more for each byte of the module.
	maxBlockWork, blockWorkPerByte = 600_000_000, 100
	maxLocalWork, localWorkPerByte = 2 << 30, 300
)

// compileWork sums up the compiler's work for all functions.
type compileWork struct {
	globals, mutable     int // that the module has
	global, block, local int // work
	mostBlock, mostLocal int
}

func (m *module) newCompileWork() *compileWork {
	w := &compileWork{globals: len(m.globals), mostBlock: maxBlockWork + blockWorkPerByte*len(m.bin),
		mostLocal: maxLocalWork + localWorkPerByte*len(m.bin)}
	for _, g := range m.globals {
		if g.mutable {
			w.mutable++
		}
	}
	return w
}

// add counts a function, and fails the reader where it is too much.
func (w *compileWork) add(r *reader, function int, b *body) {
	s := &b.summary
	w.global += w.globals + w.mutable*len(s.calls) // something for each global, and for each mutable one at each call
	w.block += s.blocks*s.blocks + s.loops*s.loops*s.loops/16
	w.local += b.locals * (b.code.to - b.code.from)
	refuse := func(format string, args ...any) { r.fail(b.code.from, ErrLimit, format, args...) }
	switch {
	case r.err != nil:
	case s.blocks > maxBlocks:
		refuse("function %d branches too much: %d blocks, at most %d are accepted", function, s.blocks, maxBlocks)
	case s.loops > maxLoops:
		refuse("function %d has %d loops, at most %d are accepted", function, s.loops, maxLoops)
	case s.loops*b.locals > maxLoopLocals:
		refuse("function %d has %d loops and %d local variables, which is too much together", function, s.loops, b.locals)
	case w.global > maxGlobalWork:
		refuse("the module has too many globals for the number of its functions and calls")
	case w.block > w.mostBlock:
		refuse("the functions up to %d branch too much all together, for a module of this size", function)
	case w.local > w.mostLocal:
		refuse("the functions up to %d have too many local variables all together, for a module of this size", function)
	}
}

// blocksOf is how many blocks an instruction begins, about.
func blocksOf(in *instr) int {
	switch in.op {
	case opBlock, opLoop, opBrIf:
		return 1
	case opIf:
		return 3
	case opBrTable:
		return int(in.x) + 1
	}
	return 0
}
