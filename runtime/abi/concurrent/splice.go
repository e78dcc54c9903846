package concurrent

// spliceBytes is the size of the buffer between two ends of the host.
const spliceBytes = 16 << 10

// splice moves elements from one end of the host to another. It is Work. Elements are laid out as in guest memory.
type splice struct {
	typ      Type
	from, to Peer
	buffer   []byte
	have     []byte // of buffer: what to has not taken yet
	elements uint32 // in have
	last     bool   // from is done
}

// Poll implements Work.
func (s *splice) Poll() (over bool) {
	for {
		if s.elements == 0 && s.last {
			s.to.Drop()
			return true
		}
		if s.elements == 0 && !s.fill() {
			return false
		}
		if s.elements == 0 {
			continue
		}
		moved, last := s.to.Copy(s.have, s.elements)
		s.have, s.elements = s.have[moved*s.typ.Size:], s.elements-moved
		switch {
		case last:
			if !s.last {
				s.from.Drop()
			}
			return true
		case moved == 0:
			return false
		}
	}
}

// fill takes elements from the writer. It reports whether there was anything to take, or the end.
func (s *splice) fill() bool {
	n := uint32(1)
	if !s.typ.Future {
		n = spliceBytes / max(s.typ.Size, 1)
	}
	if s.buffer == nil {
		s.buffer = make([]byte, n*s.typ.Size)
	}
	moved, last := s.from.Copy(s.buffer, n)
	s.have, s.elements, s.last = s.buffer[:moved*s.typ.Size], moved, last || s.typ.Future && moved > 0
	return moved > 0 || last
}

// Ready implements Work.
func (s *splice) Ready() <-chan struct{} {
	if s.elements > 0 {
		return s.to.Ready()
	}
	return s.from.Ready()
}

// stop drops both ends before the stream's. The writer may be done already, while the reader has not taken the rest.
func (s *splice) stop() {
	if !s.last {
		s.from.Drop()
	}
	s.to.Drop()
}
