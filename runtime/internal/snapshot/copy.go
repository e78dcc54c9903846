package snapshot

import "bytes"

// copyMethod needs nothing of the system: images are Go memory, and cells any memory. What was touched is written back
// whole, so that the price of a reset is the size of the memory, and not what was written.
type copyMethod struct {
	hostPageBytes int // immutable
}

func (copyMethod) name() string { return "copy" }

func (m copyMethod) capture(mem []byte) (golden, error) {
	n := len(mem) - trailingZeros(mem, m.hostPageBytes)
	return golden{contents: append([]byte(nil), mem[:n]...), fd: -1}, nil
}

func (m copyMethod) mapOver(g *golden, cell []byte) error {
	return m.decommit(g, cell)
}

func (m copyMethod) reset(g *golden, cell []byte, touchedBytes int, _ *Scratch) (int, error) {
	return rewrite(g.contents, cell, roundUp(touchedBytes, m.hostPageBytes)) / m.hostPageBytes, nil
}

// rewrite makes the first n bytes of cell show contents, and zeros beyond them, whatever is there. It returns n.
func rewrite(contents, cell []byte, n int) int {
	clear(cell[copy(cell[:n], contents):n])
	return n
}

// roundUp rounds n up to a multiple of unit, a power of two.
func roundUp(n, unit int) int { return (n + unit - 1) &^ (unit - 1) }

func (m copyMethod) decommit(g *golden, cell []byte) error {
	n := copy(cell, g.contents)
	m.zero(cell[n:])
	return nil
}

func (m copyMethod) wipe(cell []byte) error {
	m.zero(cell)
	return nil
}

// zero clears b but writes only where it must: a write to memory that was never touched would make it resident.
func (m copyMethod) zero(b []byte) {
	for from := 0; from < len(b); from += m.hostPageBytes {
		if page := b[from:min(from+m.hostPageBytes, len(b))]; !isZero(page) {
			clear(page)
		}
	}
}

func (copyMethod) discard(g *golden) error {
	g.contents = nil
	return nil
}

func (copyMethod) close() error { return nil }

// isZero tells whether all of b, which is not empty, is zero: its first byte is, and each byte equals the next.
func isZero(b []byte) bool {
	return b[0] == 0 && bytes.Equal(b[:len(b)-1], b[1:])
}

// trailingZeros returns how many bytes of whole host pages at the end of mem are zero.
func trailingZeros(mem []byte, hostPageBytes int) int {
	n := len(mem)
	for n > 0 && isZero(mem[n-hostPageBytes:n]) {
		n -= hostPageBytes
	}
	return len(mem) - n
}
