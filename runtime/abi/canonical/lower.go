package canonical

import "encoding/binary"

// The layout of pairs of address and length.
const (
	pairBytes = 8
	pairAlign = 4
)

// PutUint16 writes a number of a record.
func PutUint16(m []byte, at int, v uint16) { binary.LittleEndian.PutUint16(m[at:], v) }

// PutUint32 writes a number or a handle of a record.
func PutUint32(m []byte, at int, v uint32) { binary.LittleEndian.PutUint32(m[at:], v) }

// PutUint64 writes a number of a record.
func PutUint64(m []byte, at int, v uint64) { binary.LittleEndian.PutUint64(m[at:], v) }

// PutString allocates a string and writes its address and length to m at offset at. A string of the host that is not UTF-8
// must not be passed.
func (s *State) PutString(m []byte, at int, text string) {
	ptr, to := s.Allocate(1, uint32(len(text)))
	copy(to, text)
	putPair(m, at, ptr, len(text))
}

// PutBytes allocates a list of bytes and writes its address and length to m at offset at.
func (s *State) PutBytes(m []byte, at int, data []byte) {
	ptr, to := s.Allocate(1, uint32(len(data)))
	copy(to, data)
	putPair(m, at, ptr, len(data))
}

// PutList allocates a list of elements of this size and alignment, writes its address and length to m at offset at, and
// returns its memory, for the elements.
func (s *State) PutList(m []byte, at, count int, size, align uint32) []byte {
	bytes := uint64(count) * uint64(size)
	if bytes > 1<<32-1 {
		Trap("a list of %d elements does not fit into the memory", count)
	}
	ptr, to := s.Allocate(align, uint32(bytes))
	putPair(m, at, ptr, count)
	return to
}

// PutStrings allocates a list of strings.
func (s *State) PutStrings(m []byte, at int, list []string) {
	to := s.PutList(m, at, len(list), pairBytes, pairAlign)
	for i, text := range list {
		s.PutString(to, i*pairBytes, text)
	}
}

// PutPairs allocates a list of pairs of strings, and writes name and value of each.
func (s *State) PutPairs(m []byte, at int, pairs [][2]string) {
	to := s.PutList(m, at, len(pairs), 2*pairBytes, pairAlign)
	for i, pair := range pairs {
		s.PutString(to, 2*i*pairBytes, pair[0])
		s.PutString(to, (2*i+1)*pairBytes, pair[1])
	}
}

func putPair(m []byte, at int, ptr uint32, length int) {
	PutUint32(m, at, ptr)
	PutUint32(m, at+4, uint32(length))
}
