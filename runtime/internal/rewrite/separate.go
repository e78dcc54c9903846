package rewrite

import (
	"crypto/sha256"
	"fmt"
)

// CodeID identifies all of a module that its code depends on: everything but the initial size of its memory, what
// is in it, and custom sections that Decode ignores. Modules with the same CodeID become the same module in Rewrite.
type CodeID [sha256.Size]byte

// codeDomain separates the digests of code from those of whole modules, which begin otherwise.
const codeDomain = "code of a module without its data\n"

// Separate is the part of a module that is not code, if the code does not refer to it: its memory and its active
// data segments, at constant offsets. Rewrite can leave this part out, and the host applies it to each new instance.
type Separate struct {
	ID       CodeID
	MinPages uint32 // of linear memory
	Dataless bool   // see WithoutData
	data     []byte // content of the data section; nil if there is none
	bytes    int    // in all segments
	maxPages uint32 // as declared, if hasMax
	hasMax   bool
}

// Split returns the separate part of a module without reading its code, or nil if the module cannot be split or is not
// valid. The result is final only if the code does not refer to data segments, see Decoded.Separate.
func Split(bin []byte) *Separate {
	if checkPreamble(bin) != nil {
		return nil
	}
	m := &module{bin: bin, start: -1, dataCount: -1}
	id, err := m.outline()
	if err != nil || m.oddData || m.memory != nil && m.memory.Shared {
		return nil
	}
	s := &Separate{ID: id, bytes: m.dataBytes}
	if m.memory != nil {
		s.MinPages, s.maxPages, s.hasMax = m.memory.MinPages, m.memory.MaxPages, m.memory.HasMax
	}
	if m.hasData {
		s.data = bin[m.data.from:m.data.to:m.data.to]
	}
	return s
}

// outline reads the sections of memory and data, and returns the digest of all others.
func (m *module) outline() (id CodeID, err error) {
	hash := sha256.New()
	hash.Write([]byte(codeDomain))
	r := &reader{bin: m.bin, pos: len(preambleModule), end: len(m.bin)}
	last := 0
	for r.more() {
		at := r.pos
		section := sectionID(r.byte())
		s := r.sub(int(r.u32()))
		if r.err != nil {
			break
		}
		if section == sectionCustom {
			if name := s.name("section name"); name == "name" || name == "producers" {
				hash.Write(m.bin[at:r.pos])
			}
			r.err = s.err
			continue
		}
		m.checkOrder(r, at, section, &last)
		switch section {
		case sectionMemory:
			m.section(section, s)
			if m.memory != nil {
				hash.Write([]byte{byte(section)})
			}
		case sectionData, sectionDataCount:
			m.section(section, s)
		default:
			hash.Write(m.bin[at:r.pos])
			continue
		}
		if s.err == nil && s.pos != s.end {
			s.fail(s.pos, ErrInvalid, "%s section has %d bytes too many", section, s.remaining())
		}
		if r.err == nil {
			r.err = s.err
		}
	}
	if r.err == nil && !m.hasData && m.dataCount > 0 {
		r.fail(r.pos, ErrInvalid, "%d data segments announced, none follow", m.dataCount)
	}
	hash.Sum(id[:0])
	return id, r.err
}

// plainOffset reports whether the next expression is a constant integer. It consumes nothing.
func (r *reader) plainOffset() bool {
	probe := *r
	isConst := probe.byte() == opI32Const
	probe.signed(32)
	return isConst && probe.byte() == opEnd && probe.err == nil
}

// Info returns the Info of a module with this separate part, for the Info of another one with the same CodeID.
func (s *Separate) Info(of *Info) *Info {
	info := *of
	info.DataBytes = s.bytes
	if of.Memory != nil {
		memory := *of.Memory
		memory.MinPages, memory.MaxPages, memory.HasMax = s.MinPages, s.maxPages, s.hasMax
		info.Memory = &memory
	}
	return &info
}

// Own returns s with data that does not refer to the bytes of the module.
func (s *Separate) Own() *Separate {
	own := *s
	own.data = append([]byte(nil), s.data...)
	return &own
}

// WithoutData returns s without the bytes of the segments. If there were any, it is Dataless, and must not be applied.
func (s *Separate) WithoutData() *Separate {
	light := *s
	light.data, light.Dataless = nil, s.Dataless || s.data != nil
	return &light
}

// Outline is a Separate without data, in a form that can be kept.
type Outline struct {
	ID       CodeID
	MinPages uint32
	MaxPages uint32
	HasMax   bool
	HasData  bool
	Bytes    int // in all segments
}

// Outline returns the outline of s.
func (s *Separate) Outline() *Outline {
	return &Outline{
		ID:       s.ID,
		MinPages: s.MinPages,
		MaxPages: s.maxPages,
		HasMax:   s.hasMax,
		HasData:  s.Dataless || s.data != nil,
		Bytes:    s.bytes,
	}
}

// Separate returns what WithoutData returns for the Separate that o is the outline of.
func (o *Outline) Separate() *Separate {
	return &Separate{
		ID:       o.ID,
		MinPages: o.MinPages,
		Dataless: o.HasData,
		bytes:    o.Bytes,
		maxPages: o.MaxPages,
		hasMax:   o.HasMax,
	}
}

// Apply writes the data to the memory of a new instance, in the order of the segments. If one is out of bounds, it
// returns an error, and the memory has the data of those before it: the module cannot be instantiated.
func (s *Separate) Apply(memory []byte) error {
	if len(s.data) == 0 {
		return nil
	}
	r := &reader{bin: s.data, end: len(s.data)}
	for i := range int(r.u32()) {
		if r.u32() == 2 { // the flags; the index of the memory follows
			r.u32()
		}
		r.byte() // i32.const
		offset := uint64(uint32(r.signed(32)))
		r.byte() // end
		size := int(r.u32())
		from := r.pos
		r.skip(size)
		if r.err != nil {
			return r.err // does not happen: the section was read before
		}
		if offset+uint64(size) > uint64(len(memory)) {
			return fmt.Errorf("data[%d]: out of bounds memory access", i)
		}
		copy(memory[offset:], s.data[from:r.pos])
	}
	return nil
}
