package fuse

// Opcodes that constants and the synthesised functions use.
const (
	opUnreachable = 0x00
	opEnd         = 0x0b
	opCall        = 0x10
	opGlobalGet   = 0x23
	opI32Const    = 0x41
	opI64Const    = 0x42
	opF32Const    = 0x43
	opF64Const    = 0x44
	opRefNull     = 0xd0
	opRefFunc     = 0xd2
	opV128        = 0xfd
	opV128Const   = 0x0c
)

// value is the value of a constant expression.
type value struct {
	op    byte    // of the instruction that has it
	bits  uint64  // of an integer; of a function reference, its index in its owner
	raw   []byte  // operands of others
	owner *member // of a function reference
}

// constant evaluates a constant expression. Its globals must be known.
func (r *reader) constant() value {
	var stack []value
	for r.err == nil {
		op := r.byte()
		v := value{op: op}
		switch op {
		case opEnd:
			if r.err == nil && len(stack) != 1 {
				r.invalid("constant expression with %d values", len(stack))
			}
			if r.err != nil {
				return value{}
			}
			return stack[0]
		case opI32Const:
			v.bits = uint64(uint32(r.signed(5)))
		case opI64Const:
			v.bits = uint64(r.signed(10))
		case opF32Const:
			v.raw = r.bytes(4)
		case opF64Const:
			v.raw = r.bytes(8)
		case opV128:
			if r.u32() != opV128Const {
				r.invalid("vector instruction in a constant")
			}
			v.raw = r.bytes(16)
		case opRefNull:
			v.raw = []byte{r.referenceType()}
		case opRefFunc:
			v.bits, v.owner = uint64(r.u32()), r.m
		case opGlobalGet:
			v = r.globalValue(r.u32())
		default:
			stack = r.arithmetic(op, stack)
			continue
		}
		stack = append(stack, v)
	}
	return value{}
}

// globalValue returns the value of an immutable global.
func (r *reader) globalValue(index uint32) value {
	if r.err == nil && (int64(index) >= int64(len(r.m.globals)) || r.m.globals[index].mutable) {
		r.invalid("global %d in a constant does not exist before it or is mutable", index)
	}
	if r.err != nil {
		return value{}
	}
	return r.m.globals[index].value
}

// arithmetic evaluates an instruction of extended constant expressions.
func (r *reader) arithmetic(op byte, stack []value) []value {
	n := len(stack)
	want := byte(opI32Const)
	if op >= 0x7c {
		want = opI64Const
	}
	if r.err == nil && (n < 2 || stack[n-1].op != want || stack[n-2].op != want) {
		r.invalid("instruction %#02x in a constant", op)
	}
	if r.err != nil {
		return stack
	}
	a, b := stack[n-2].bits, stack[n-1].bits
	switch op {
	case 0x6a, 0x7c:
		a += b
	case 0x6b, 0x7d:
		a -= b
	case 0x6c, 0x7e:
		a *= b
	default:
		r.invalid("instruction %#02x in a constant", op)
	}
	if want == opI32Const {
		a = uint64(uint32(a))
	}
	return append(stack[:n-2], value{op: want, bits: a})
}

// constant appends the instruction for a value, without an end.
func (f *fuser) constant(out []byte, v value) ([]byte, error) {
	switch v.op {
	case opI32Const:
		return appendSigned(append(out, v.op), int64(int32(v.bits))), nil
	case opI64Const:
		return appendSigned(append(out, v.op), int64(v.bits)), nil
	case opRefFunc:
		c, err := f.function(v.owner, uint32(v.bits))
		return appendU32(append(out, v.op), f.index(c)), err
	case opV128:
		return append(append(out, v.op, opV128Const), v.raw...), nil
	}
	return append(append(out, v.op), v.raw...), nil
}
