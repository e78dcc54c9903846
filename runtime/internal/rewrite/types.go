package rewrite

import "strings"

// ValueType is a WebAssembly value type in its binary encoding.
type ValueType byte

// The value types that modules may use.
const (
	I32       ValueType = 0x7f
	I64       ValueType = 0x7e
	F32       ValueType = 0x7d
	F64       ValueType = 0x7c
	V128      ValueType = 0x7b
	FuncRef   ValueType = 0x70
	ExternRef ValueType = 0x6f
)

// String returns the name in the text format.
func (t ValueType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case V128:
		return "v128"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "unknown"
}

// reference reports whether values of the type are references, which the host can neither copy nor compare.
func (t ValueType) reference() bool { return t == FuncRef || t == ExternRef }

// Signature is the type of a function.
type Signature struct {
	Params, Results []ValueType
}

// String returns the signature as "(i32, i32) -> (i64)".
func (s Signature) String() string {
	list := func(types []ValueType) string {
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = t.String()
		}
		return "(" + strings.Join(names, ", ") + ")"
	}
	return list(s.Params) + " -> " + list(s.Results)
}

// Kind is the kind of an import or export.
type Kind byte

// Kinds in their binary encoding.
const (
	KindFunction Kind = iota
	KindTable
	KindMemory
	KindGlobal
)

// String returns the name in the text format.
func (k Kind) String() string {
	if k > KindGlobal {
		return "unknown"
	}
	return [...]string{"func", "table", "memory", "global"}[k]
}

// valueType reads a value type. Types of other proposals are refused with the proposal's name.
func (r *reader) valueType() ValueType {
	at := r.pos
	b := r.byte()
	switch t := ValueType(b); t {
	case I32, I64, F32, F64, V128, FuncRef, ExternRef:
		return t
	}
	r.unknownType(at, b)
	return 0
}

func (r *reader) refType() ValueType {
	at := r.pos
	t := r.valueType()
	if r.err == nil && !t.reference() {
		r.fail(at, ErrInvalid, "%s is not a reference type", t)
	}
	return t
}

func (r *reader) unknownType(at int, b byte) {
	switch {
	case b == 0x63 || b == 0x64:
		r.unsupported(at, featureFuncRefs, "reference type %#02x", b)
	case b == 0x69 || b == 0x74:
		r.unsupported(at, featureExceptions, "exception reference %#02x", b)
	case b >= 0x65 && b <= 0x73 || b == 0x77 || b == 0x78:
		r.unsupported(at, featureGC, "type %#02x", b)
	default:
		r.fail(at, ErrInvalid, "unknown value type %#02x", b)
	}
}

// valueTypes reads a vector of value types.
func (r *reader) valueTypes(what string) []ValueType {
	n := r.count(what, maxParams)
	if n == 0 {
		return nil
	}
	types := make([]ValueType, 0, n)
	for range n {
		types = append(types, r.valueType())
	}
	return types
}

// signature reads one entry of the type section.
func (r *reader) signature() Signature {
	at := r.pos
	switch b := r.byte(); {
	case r.err != nil || b == 0x60:
	case b == 0x4e || b == 0x4f || b == 0x50 || b == 0x5e || b == 0x5f:
		r.unsupported(at, featureGC, "type form %#02x", b)
	default:
		r.fail(at, ErrInvalid, "type form %#02x is not a function type", b)
	}
	return Signature{Params: r.valueTypes("parameters"), Results: r.valueTypes("results")}
}

// limits are the bounds of a table or memory.
type limits struct {
	min, max uint32
	hasMax   bool
	shared   bool
}

func (r *reader) limits() (l limits) {
	at := r.pos
	flags := r.byte()
	switch {
	case flags&^7 == 8:
		r.unsupported(at, featurePageSize, "limits %#02x", flags)
	case flags > 7:
		r.fail(at, ErrInvalid, "unknown form of limits %#02x", flags)
	case flags&4 != 0:
		r.unsupported(at, featureMemory64, "limits %#02x", flags)
	}
	l.hasMax, l.shared = flags&1 != 0, flags&2 != 0
	l.min = r.u32()
	if l.hasMax {
		if l.max = r.u32(); r.err == nil && l.max < l.min {
			r.fail(at, ErrInvalid, "minimum %d is larger than maximum %d", l.min, l.max)
		}
	}
	return l
}

func (l limits) append(out []byte) []byte {
	if l.hasMax {
		return appendU32(appendU32(append(out, 1), l.min), l.max)
	}
	return appendU32(append(out, 0), l.min)
}
