package rewrite

func appendU32(out []byte, v uint32) []byte {
	for v >= 0x80 {
		out = append(out, byte(v)|0x80)
		v >>= 7
	}
	return append(out, byte(v))
}

func appendSigned(out []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(out, b)
		}
		out = append(out, b|0x80)
	}
}

func appendName(out []byte, name string) []byte {
	return append(appendU32(out, uint32(len(name))), name...)
}

func appendSection(out []byte, id sectionID, body []byte) []byte {
	return append(appendU32(append(out, byte(id)), uint32(len(body))), body...)
}

// code is a sequence of instructions under construction.
type code []byte

func (c *code) op(bytes ...byte)                 { *c = append(*c, bytes...) }
func (c *code) index(op byte, i uint32)          { *c = appendU32(append(*c, op), i) }
func (c *code) i32(v int32)                      { *c = appendSigned(append(*c, opI32Const), int64(v)) }
func (c *code) i64(v int64)                      { *c = appendSigned(append(*c, opI64Const), v) }
func (c *code) block(op byte, blockType ...byte) { *c = append(append(*c, op), blockType...) }
func (c *code) call(function uint32)             { c.index(opCall, function) }
func (c *code) br(depth uint32)                  { c.index(opBr, depth) }
func (c *code) brIf(depth uint32)                { c.index(opBrIf, depth) }
func (c *code) localGet(i uint32)                { c.index(opLocalGet, i) }
func (c *code) localSet(i uint32)                { c.index(opLocalSet, i) }
func (c *code) localTee(i uint32)                { c.index(opLocalTee, i) }
func (c *code) globalGet(i uint32)               { c.index(opGlobalGet, i) }
func (c *code) globalSet(i uint32)               { c.index(opGlobalSet, i) }
