package canonical

import (
	"encoding/binary"
	"unicode/utf8"
)

// Bytes returns a list of bytes in guest memory. It is valid until the guest runs again.
func (s *State) Bytes(at, length uint64) []byte { return s.In.View(uint32(at), uint32(length)) }

// Text returns a copy of a string of at most limit bytes. ok is false if it is longer.
func (s *State) Text(at, length uint64, limit int) (text string, ok bool) {
	raw := s.Bytes(at, length)
	if len(raw) > limit {
		return "", false
	}
	if !utf8.Valid(raw) {
		Trap("a string is not UTF-8")
	}
	return string(raw), true
}

// List returns the memory of a list whose elements have this size and alignment.
func (s *State) List(at, count uint64, size, align uint32) []byte {
	bytes := uint64(uint32(count)) * uint64(size)
	if bytes > 1<<32-1 {
		Trap("a list has %d elements, which is more than the memory", uint32(count))
	}
	return s.Area(at, uint32(bytes), align)
}

// Case returns the case of a variant with this many cases.
func Case(v uint64, cases uint32) uint32 {
	if uint32(v) >= cases {
		Trap("a variant has the case %d of %d", uint32(v), cases)
	}
	return uint32(v)
}

// Uint32 reads a number of a record.
func Uint32(m []byte, at int) uint32 { return binary.LittleEndian.Uint32(m[at:]) }
