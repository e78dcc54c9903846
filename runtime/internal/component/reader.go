package component

import (
	"fmt"
	"unicode/utf8"
)

// reader reads a part of the component. The first error is kept: later reads return zero and consume nothing. Offsets
// are relative to the whole component.
type reader struct {
	bin []byte // the whole component
	pos int
	end int // reads stop here
	err error

	budget *budget
}

// budget counts what is evaluated.
type budget struct {
	bytes, definitions int
	what               string // that is counted
}

// charge counts n definitions.
func (r *reader) charge(n int) {
	if r.budget.definitions += n; r.budget.definitions > maxDefinitions {
		r.fail(limit(r.pos, "more than %d %s", maxDefinitions, r.budget.what))
	}
}

// chargeBytes counts n bytes that are evaluated.
func (r *reader) chargeBytes(n int) {
	if r.budget.bytes += n; r.budget.bytes > maxBytes {
		r.fail(limit(r.pos, "more than %d MiB of definitions, in all instances of types and components together", maxBytes>>20))
	}
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
		r.pos = r.end
	}
}

func (r *reader) truncated(format string, args ...any) {
	r.fail(&Error{Kind: ErrTruncated, Offset: r.pos, Detail: fmt.Sprintf(format, args...)})
}

func (r *reader) more() bool { return r.err == nil && r.pos < r.end }

func (r *reader) byte() byte {
	if r.pos >= r.end {
		r.truncated("a byte is missing")
		return 0
	}
	b := r.bin[r.pos]
	r.pos++
	return b
}

func (r *reader) skip(n int) {
	if n < 0 || n > r.end-r.pos {
		r.truncated("%d bytes announced, %d left", n, r.end-r.pos)
		return
	}
	r.pos += n
}

// sub returns a reader of the next n bytes and skips them.
func (r *reader) sub(n int) *reader {
	from := r.pos
	r.skip(n)
	if r.err != nil {
		return &reader{bin: r.bin, pos: r.end, end: r.end, err: r.err, budget: r.budget}
	}
	return &reader{bin: r.bin, pos: from, end: from + n, budget: r.budget}
}

// u32 reads an unsigned LEB128 of at most 32 bits.
func (r *reader) u32() uint32 {
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
	r.fail(invalid(from, "integer is longer than 32 bits"))
	return 0
}

// count reads the length of a vector, of entries of at least one byte each, and charges for them.
func (r *reader) count(what string) int {
	n := r.length(what)
	r.charge(n)
	return n
}

// length reads the length of a vector of at most as many entries as there are bytes.
func (r *reader) length(what string) int {
	n := int(r.u32())
	if r.err == nil && n > r.end-r.pos {
		r.truncated("%d %s announced in %d bytes", n, what, r.end-r.pos)
	}
	if r.err != nil {
		return 0
	}
	return n
}

// maxNameBytes limits names. Real ones have some dozens.
const maxNameBytes = 10_000

func (r *reader) name(what string) string {
	at := r.pos
	n := r.length("bytes of " + what)
	if n > maxNameBytes {
		r.fail(limit(at, "%s of %d bytes, at most %d are accepted", what, n, maxNameBytes))
	}
	from := r.pos
	r.skip(n)
	if r.err != nil {
		return ""
	}
	if !utf8.Valid(r.bin[from:r.pos]) {
		r.fail(invalid(at, "%s is not UTF-8", what))
		return ""
	}
	return string(r.bin[from:r.pos])
}

// externName reads the name of a component's import or export.
func (r *reader) externName() string {
	at := r.pos
	switch b := r.byte(); {
	case r.err != nil:
	case b == 0 || b == 1:
		return r.name("import or export name")
	case b == 2:
		r.fail(unsupportedAt(at, "names with attributes, such as a version suffix, are not supported: build with an option or a version of the tool that does not emit them"))
	default:
		r.fail(invalid(at, "form %#02x of an import or export name", b))
	}
	return ""
}

// flag reads a byte that must be 0 or 1.
func (r *reader) flag(what string) bool {
	at := r.pos
	b := r.byte()
	if b > 1 {
		r.fail(invalid(at, "%s is %d, not 0 or 1", what, b))
	}
	return b == 1
}

// done fails unless everything was read.
func (r *reader) done(what string) {
	if r.err == nil && r.pos != r.end {
		r.fail(invalid(r.pos, "%s has %d bytes too many", what, r.end-r.pos))
	}
}
