package rewrite

import (
	"fmt"
	"unicode/utf8"
)

// reader reads a part of the module. The first error is kept: later reads return zero and consume nothing,
// so that decoders can read a whole entry and check err once. Offsets are relative to the whole module.
type reader struct {
	bin []byte // the whole module
	pos int
	end int // reads stop here
	err error
}

func (r *reader) fail(at int, kind error, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Kind: kind, Offset: at, Detail: fmt.Sprintf(format, args...)}
		r.pos = r.end
	}
}

func (r *reader) unsupported(at int, feature, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{Kind: ErrUnsupported, Offset: at, Feature: feature, Detail: fmt.Sprintf(format, args...)}
		r.pos = r.end
	}
}

func (r *reader) more() bool { return r.err == nil && r.pos < r.end }

func (r *reader) remaining() int { return r.end - r.pos }

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.fail(r.pos, ErrTruncated, "a byte is missing")
		return 0
	}
	b := r.bin[r.pos]
	r.pos++
	return b
}

func (r *reader) skip(n int) {
	if n < 0 || n > r.remaining() {
		r.fail(r.pos, ErrTruncated, "%d bytes announced, %d left", n, r.remaining())
		return
	}
	r.pos += n
}

// sub returns a reader of the next n bytes and skips them.
func (r *reader) sub(n int) *reader {
	from := r.pos
	r.skip(n)
	if r.err != nil {
		return &reader{bin: r.bin, pos: r.end, end: r.end, err: r.err}
	}
	return &reader{bin: r.bin, pos: from, end: from + n}
}

// u32 reads an unsigned LEB128 of at most 32 bits. Padded forms
// of up to five bytes are valid and common (linkers emit them).
func (r *reader) u32() uint32 {
	if r.pos < r.end && r.bin[r.pos] < 0x80 {
		r.pos++
		return uint32(r.bin[r.pos-1])
	}
	from := r.pos
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
	r.fail(from, ErrInvalid, "integer is longer than 32 bits")
	return 0
}

// signed reads a signed LEB128 of the given number of bits (32, 33 or 64).
func (r *reader) signed(bits uint) int64 {
	from := r.pos
	var v int64
	for shift := uint(0); ; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		v |= int64(b&0x7f) << shift
		if left := bits - shift; left <= 7 {
			// Last byte: the bits beyond the integer must repeat its sign.
			ext := int8(b<<1) >> left
			if b >= 0x80 || ext != 0 && ext != -1 {
				r.fail(from, ErrInvalid, "integer is longer than %d bits", bits)
				return 0
			}
		}
		if b < 0x80 {
			if shift += 7; shift < 64 {
				v = v << (64 - shift) >> (64 - shift)
			}
			return v
		}
	}
}

// count reads the length of a vector of at most limit entries, each of at least one byte.
func (r *reader) count(what string, limit int) int {
	at := r.pos
	n := int(r.u32())
	switch {
	case r.err != nil:
	case n > r.remaining():
		r.fail(at, ErrTruncated, "%d %s announced in %d bytes", n, what, r.remaining())
	case n > limit:
		r.fail(at, ErrLimit, "%d %s, at most %d are accepted", n, what, limit)
	default:
		return n
	}
	return 0
}

func (r *reader) name(what string) string {
	at := r.pos
	n := r.count("bytes of "+what, maxNameBytes)
	from := r.pos
	r.skip(n)
	if r.err != nil {
		return ""
	}
	if !utf8.Valid(r.bin[from:r.pos]) {
		r.fail(at, ErrInvalid, "%s is not UTF-8", what)
		return ""
	}
	return string(r.bin[from:r.pos])
}

// zero reads a reserved byte. Other values refer to a second memory, which not all decoders read alike.
func (r *reader) zero(feature, what string) {
	if at := r.pos; r.byte() != 0 && r.err == nil {
		r.unsupported(at, feature, "%s must be zero", what)
	}
}
