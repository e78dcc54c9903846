package fuse

// elementSection returns the element segments of all modules, and one that declares the functions that code refers to: a module
// may declare them by an export.
func (f *fuser) elementSection() (out []byte, err error) {
	n := uint32(0)
	for _, m := range f.members {
		for i := range m.elements {
			if out, err = f.appendSegment(out, m, &m.elements[i]); err != nil {
				return nil, err
			}
			n++
		}
	}
	if len(f.declared) > 0 {
		out = appendU32(append(out, 3, 0), uint32(len(f.declared)))
		for _, c := range f.declared {
			out = appendU32(out, f.index(c))
		}
		n++
	}
	return append(appendU32(nil, n), out...), nil
}

func (f *fuser) appendSegment(out []byte, m *member, s *segment) ([]byte, error) {
	expressions := s.flags & 4
	if s.active() {
		table := m.tables[s.table]
		if table == ignored {
			return append(out, 1, 0, 0), nil // what is left of an active segment: a passive one without elements
		}
		out = appendU32(appendU32(out, 2|expressions), table)
		var err error
		if out, err = f.constant(out, s.offset); err != nil {
			return nil, err
		}
		out = append(out, opEnd)
	} else {
		out = appendU32(out, s.flags)
	}
	if expressions != 0 {
		out = append(out, s.kind)
	} else {
		out = append(out, 0)
	}
	items, n := []byte(nil), uint32(0)
	err := s.each(func(v value) (err error) {
		n++
		if expressions != 0 {
			items, err = f.constant(items, v)
			items = append(items, opEnd)
			return err
		}
		c, err := f.function(v.owner, uint32(v.bits))
		items = appendU32(items, f.index(c))
		return err
	})
	return append(appendU32(out, n), items...), err
}

// dataCount returns the number of data segments, if a module declares it: instructions need it.
func (f *fuser) dataCount() (n uint32, ok bool) {
	for _, m := range f.members {
		n += uint32(len(m.datas))
		ok = ok || m.dataCount
	}
	return n, ok
}

func (f *fuser) dataSection() ([]byte, error) {
	n, _ := f.dataCount()
	out := appendU32(nil, n)
	for _, m := range f.members {
		for _, d := range m.datas {
			if d.passive {
				out = append(out, 1)
			} else {
				var err error
				if out, err = f.constant(append(out, 0), d.offset); err != nil {
					return nil, err
				}
				out = append(out, opEnd)
			}
			out = append(appendU32(out, uint32(len(d.bytes))), d.bytes...)
		}
	}
	return out, nil
}

// codeSection returns the bodies of all modules, of the synthesised functions, and of the start function if there is one.
func (f *fuser) codeSection(start []byte) ([]byte, error) {
	n := f.defined + uint32(len(f.made))
	if start != nil {
		n++
	}
	out := appendU32(nil, n)
	var code []byte // reused
	for _, m := range f.members {
		for _, b := range m.bodies {
			var err error
			if code, err = f.renumberBody(code[:0], b); err != nil {
				return nil, err
			}
			out = append(appendU32(out, uint32(len(code))), code...)
		}
	}
	for _, s := range f.made {
		if s.kind == Traps {
			out = append(out, 3, 0, opUnreachable, opEnd)
		} else {
			out = append(out, 2, 0, opEnd)
		}
	}
	if start != nil {
		out = append(appendU32(out, uint32(len(start))), start...)
	}
	return out, nil
}

// renumberBody appends a body with the indexes of the fused module.
func (f *fuser) renumberBody(out []byte, b body) ([]byte, error) {
	last := b.from
	err := b.walk(func(s space, from, to int, index uint32) error {
		n, err := f.renumber(b.m, s, index)
		out = append(out, b.m.bin[last:from]...)
		if last = to; s == spaceBlock {
			out = appendSigned(out, int64(n))
		} else {
			out = appendU32(out, n)
		}
		return err
	})
	return append(out, b.m.bin[last:b.to]...), err
}

func section(out []byte, id byte, body []byte) []byte {
	if len(body) == 0 || len(body) == 1 && body[0] == 0 && id != sectionDataCount {
		return out
	}
	return append(appendU32(append(out, id), uint32(len(body))), body...)
}

func appendU32(out []byte, v uint32) []byte {
	for v >= 0x80 {
		out = append(out, byte(v)|0x80)
		v >>= 7
	}
	return append(out, byte(v))
}

func appendSigned(out []byte, v int64) []byte {
	for v < -64 || v > 63 {
		out = append(out, byte(v)|0x80)
		v >>= 7
	}
	return append(out, byte(v)&0x7f)
}

func appendName(out []byte, name string) []byte {
	return append(appendU32(out, uint32(len(name))), name...)
}
