package snapshot

import "bytes"

// copyMethod works on all systems: images are Go memory, and cells any memory. It restores all
// touched memory, so the cost of a reset depends on the touched size and not on the written pages.
type copyMethod struct {
	hostPageBytes int // immutable
}

func (copyMethod) name() string { return "copy" }

func (m copyMethod) capture(pieces []Piece) (golden, error) {
	contents := make([]byte, roundUp(end(pieces), m.hostPageBytes))
	for _, p := range pieces {
		copy(contents[p.Offset:], p.Bytes)
	}
	return golden{contents: contents, fd: -1}, nil
}

func (m copyMethod) mapOver(_, g *golden, cell []byte, _ int) error {
	return m.decommit(g, cell)
}

func (m copyMethod) reset(g *golden, cell []byte, touchedBytes int, _ *Scratch) (int, error) {
	return rewrite(g.contents, cell, roundUp(touchedBytes, m.hostPageBytes)) / m.hostPageBytes, nil
}

// rewrite restores the first n bytes of cell: contents, followed by zeros. It returns n.
func rewrite(contents, cell []byte, n int) int {
	clear(cell[copy(cell[:n], contents):n])
	return n
}

// roundUp rounds n up to a multiple of unit, a power of two.
func roundUp(n, unit int) int { return (n + unit - 1) &^ (unit - 1) }

func (m copyMethod) decommit(g *golden, cell []byte) error {
	n := copy(cell, g.contents)
	zero(cell[n:], m.hostPageBytes)
	return nil
}

func (m copyMethod) wipe(cell []byte) error {
	zero(cell, m.hostPageBytes)
	return nil
}

// zero clears b but writes only to nonzero pages: a write to untouched memory would make it resident.
func zero(b []byte, hostPageBytes int) {
	for from := 0; from < len(b); from += hostPageBytes {
		if page := b[from:min(from+hostPageBytes, len(b))]; !isZero(page) {
			clear(page)
		}
	}
}

func (copyMethod) discard(g *golden) error {
	g.contents = nil
	return nil
}

func (copyMethod) close() error { return nil }

// isZero reports whether all bytes of b are zero: the first is, and each byte equals
// the next. b must not be empty.
func isZero(b []byte) bool {
	return b[0] == 0 && bytes.Equal(b[:len(b)-1], b[1:])
}
