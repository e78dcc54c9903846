package rewrite

import "reflect"

// Decoded is a module that was read and checked. It refers to the bytes that it was
// read from, which must not change. It is immutable and safe for concurrent use.
type Decoded struct{ m *module }

// Decode reads a module.
func Decode(bin []byte) (*Decoded, error) { return DecodeSplit(bin, Split(bin)) }

// DecodeSplit is Decode for a module that was split already.
func DecodeSplit(bin []byte, s *Separate) (*Decoded, error) {
	m, err := decode(bin)
	if err != nil {
		return nil, err
	}
	if !m.usesSegments && (m.memory == nil || !m.memory.Imported) {
		m.separate = s
	}
	return &Decoded{m}, nil
}

// Separate returns the part of the module that is not code, or nil if the code cannot be separated from it.
func (d *Decoded) Separate() *Separate { return d.m.separate }

// Info describes the module.
func (d *Decoded) Info() *Info { return d.m.info() }

// HeldBytes returns the memory that the decoded form holds besides the bytes of the module, to within a few
// KiB. A function of 4 bytes takes some 100 here, so it can be many times the size of a hostile module.
func (d *Decoded) HeldBytes() int64 {
	m := d.m
	held := sizeOf(m.bodies) + sizeOf(m.funcs) + sizeOf(m.tables) + sizeOf(m.globals) + sizeOf(m.referenced) + sizeOf(m.refFuncs) + heldRef*len(m.refOrder)
	for i := range m.bodies {
		held += sizeOf(m.bodies[i].groups) + sizeOf(m.bodies[i].summary.calls)
		if b := &m.bodies[i]; &b.bin[0] != &m.bin[0] {
			held += sizeOf(b.bin)
		}
	}
	held += sizeOf(m.types) + sizeOf(m.imports) + sizeOf(m.exports) + sizeOf(m.funcNames)
	for _, t := range m.types {
		held += sizeOf(t.Params) + sizeOf(t.Results)
	}
	for _, i := range m.imports {
		held += len(i.Module) + len(i.Name)
	}
	for _, e := range m.exports {
		held += len(e.name)
	}
	for _, n := range m.funcNames {
		held += len(n.name)
	}
	return int64(held)
}

// heldRef is the size of an entry of module.refOrder: key, value, and the free part of the map.
const heldRef = 32

// sizeOf returns the size of the memory of a slice.
func sizeOf[T any](s []T) int { return cap(s) * int(reflect.TypeFor[T]().Size()) }
