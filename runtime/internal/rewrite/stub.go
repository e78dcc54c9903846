package rewrite

import "crypto/sha256"

// stubSection is the name of the custom section that tells stubs apart.
const stubSection = "vespo.stub"

// Stub returns a module with everything of a rewritten one except its code: each function body only traps. A host that
// has the machine code of the rewritten module can load it for the stub, which is far smaller, if the two agree in
// all that machine code and instances depend on: types, imports, tables, globals, exports, elements and data. The stub
// contains the digest of the rewritten module, so modules that differ have different stubs.
func Stub(rewritten []byte) []byte {
	out := append([]byte(nil), preambleModule...)
	r := &reader{bin: rewritten, pos: len(preambleModule), end: len(rewritten)}
	for r.more() {
		at := r.pos
		id := sectionID(r.byte())
		s := r.sub(int(r.u32()))
		if id == sectionCode {
			out = appendSection(out, id, trappingBodies(int(s.u32())))
			continue
		}
		out = append(out, rewritten[at:r.pos]...)
	}
	sum := sha256.Sum256(rewritten)
	return appendSection(out, sectionCustom, append(appendName(nil, stubSection), sum[:]...))
}

// trappingBodies returns the content of a code section with n functions that trap.
func trappingBodies(n int) []byte {
	out := appendU32(nil, uint32(n))
	for range n {
		out = append(out, 3, 0, opUnreachable, opEnd)
	}
	return out
}
