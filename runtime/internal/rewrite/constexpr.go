package rewrite

// visitFunc is called for each function index in a constant expression
// or element segment. The index is encoded at [at, end) of the module.
type visitFunc func(at, end int, function uint32)

// constExpr reads a constant expression, including its end instruction.
func (m *module) constExpr(r *reader, visit visitFunc) {
	var in instr
	for {
		r.next(&in)
		if r.err != nil {
			return
		}
		switch in.op {
		case opEnd:
			return
		case opI32Const, opI64Const, opF32Const, opF64Const, opV128Const, opRefNull,
			opI32Add, opI32Sub, opI32Mul, opI64Add, opI64Sub, opI64Mul:
		case opGlobalGet:
			if int64(in.x) >= int64(len(m.globals)) {
				r.fail(in.at, ErrInvalid, "global %d does not exist here, there are %d", in.x, len(m.globals))
			}
		case opRefFunc:
			if int64(in.x) >= int64(len(m.funcs)) {
				r.fail(in.at, ErrInvalid, "function %d does not exist, there are %d", in.x, len(m.funcs))
				return
			}
			visit(in.operands, r.pos, in.x)
		default:
			r.fail(in.at, ErrInvalid, "instruction %#02x is not constant", in.op)
		}
	}
}

// referAll records a function as a possible target of indirect calls.
func (m *module) referAll(_, _ int, function uint32) { m.refer(function) }

func (m *module) readElements(r *reader) {
	m.elements = span{r.pos, r.end}
	m.elemCount, m.elementTotal = m.countElements(r, m.referAll)
}

// walkElements is countElements without the result.
func (m *module) walkElements(r *reader, visit visitFunc) { m.countElements(r, visit) }

// countElements reads the element section and returns the numbers of its segments and of the elements in all of
// them. It does not change m. Bits of a segment's flags: 0: not active; 1: explicit table, or declarative; 2: the
// elements are expressions.
func (m *module) countElements(r *reader, visit visitFunc) (segments, elements int) {
	segments = r.count("element segments", maxSegments)
	for range segments {
		at := r.pos
		flags := r.u32()
		if r.err == nil && flags > 7 {
			r.fail(at, ErrInvalid, "unknown form %d of an element segment", flags)
		}
		if flags&1 == 0 {
			table := uint32(0)
			if flags&2 != 0 {
				table = r.u32()
			}
			if r.err == nil && int64(table) >= int64(len(m.tables)) {
				r.fail(at, ErrInvalid, "element segment for table %d, there are %d", table, len(m.tables))
			}
			m.constExpr(r, visit)
		}
		if flags&3 != 0 {
			r.elementKind(flags&4 != 0)
		}
		elements += m.walkSegment(r, flags&4 != 0, visit)
		if r.err != nil {
			break
		}
	}
	return segments, elements
}

func (r *reader) elementKind(expressions bool) {
	if expressions {
		r.refType()
		return
	}
	if at := r.pos; r.byte() != 0 {
		r.fail(at, ErrInvalid, "element kind is not a function")
	}
}

// walkSegment reads the elements of a segment and returns their number.
func (m *module) walkSegment(r *reader, expressions bool, visit visitFunc) int {
	n := r.count("elements", maxElements)
	for range n {
		if expressions {
			m.constExpr(r, visit)
		} else {
			at := r.pos
			if i, ok := m.funcIndex(r); ok {
				visit(at, r.pos, i)
			}
		}
		if r.err != nil {
			break
		}
	}
	return n
}
