package fuse

import "fmt"

// reader reads a part of a module. The first error is kept: later reads return zero and consume nothing.
type reader struct {
	m   *member
	bin []byte
	pos int
	end int // reads stop here
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
		r.pos = r.end
	}
}

func (r *reader) invalid(format string, args ...any) {
	r.fail(invalid(r.m, "%s (at offset %#x of the module)", fmt.Sprintf(format, args...), r.pos))
}

func (r *reader) unsupported(format string, args ...any) {
	r.fail(unsupported(r.m, "%s (at offset %#x of the module)", fmt.Sprintf(format, args...), r.pos))
}

func (r *reader) more() bool { return r.err == nil && r.pos < r.end }

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.invalid("a byte is missing")
		return 0
	}
	b := r.bin[r.pos]
	r.pos++
	return b
}

func (r *reader) skip(n int) {
	if n < 0 || n > r.end-r.pos {
		r.invalid("%d bytes announced, %d left", n, r.end-r.pos)
		return
	}
	r.pos += n
}

// bytes returns the next n bytes.
func (r *reader) bytes(n int) []byte {
	from := r.pos
	r.skip(n)
	if r.err != nil {
		return nil
	}
	return r.bin[from:r.pos:r.pos]
}

// sub returns a reader of the next n bytes and skips them.
func (r *reader) sub(n int) *reader {
	from := r.pos
	r.skip(n)
	if r.err != nil {
		return &reader{m: r.m, bin: r.bin, pos: r.end, end: r.end, err: r.err}
	}
	return &reader{m: r.m, bin: r.bin, pos: from, end: from + n}
}

// u32 reads an unsigned LEB128 of at most 32 bits.
func (r *reader) u32() uint32 {
	var v uint32
	for i := range 5 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		if i == 4 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << (7 * i)
		if b < 0x80 {
			return v
		}
	}
	r.invalid("integer is longer than 32 bits")
	return 0
}

// signed reads a signed LEB128 of at most n bytes.
func (r *reader) signed(n int) (v int64) {
	for i := range n {
		b := r.byte()
		v |= int64(b&0x7f) << (7 * i)
		if r.err != nil {
			return 0
		}
		if b < 0x80 {
			if shift := 7 * (i + 1); shift < 64 && b&0x40 != 0 {
				v |= -1 << shift
			}
			return v
		}
	}
	r.invalid("integer is too long")
	return 0
}

// count reads the length of a vector of at most as many entries as there are bytes.
func (r *reader) count(what string) int {
	n := int(r.u32())
	if r.err == nil && n > r.end-r.pos {
		r.invalid("%d %s announced in %d bytes", n, what, r.end-r.pos)
	}
	if r.err != nil {
		return 0
	}
	return n
}

func (r *reader) name() string { return string(r.bytes(r.count("bytes of a name"))) }

func (r *reader) done(what string) {
	if r.err == nil && r.pos != r.end {
		r.invalid("%s has %d bytes too many", what, r.end-r.pos)
	}
}
