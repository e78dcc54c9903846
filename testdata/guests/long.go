package guests

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Long returns the hand-written guest NAME with n additional unused functions of the given
// number of additions. It behaves the same, but takes arbitrarily long to compile. 1000
// functions of 1000 additions of loads are 6 MB, and take two to three seconds of a processor of 2025.
func Long(tb testing.TB, name string, n, additions int) []byte {
	tb.Helper()
	return Longer(Wat(tb, name), n, additions)
}

// Longer is Long for any module that has types, functions and code.
func Longer(module []byte, n, additions int) []byte {
	long := bytes.Clone(module[:8])
	types := uint64(0)
	for rest := module[8:]; len(rest) > 0; {
		id := rest[0]
		size, width := binary.Uvarint(rest[1:])
		content := rest[1+width : 1+width+int(size)]
		rest = rest[1+width+int(size):]
		count, width := binary.Uvarint(content)
		switch id {
		case 1: // types: () -> ()
			types = count
			content = more(count+1, content[width:], []byte{0x60, 0, 0}, 1)
		case 3: // functions
			content = more(count+uint64(n), content[width:], binary.AppendUvarint(nil, types), n)
		case 10: // code: i32.const 1, i32.const 1, i32.load, i32.add, ..., drop, end
			body := append([]byte{0, 0x41, 1}, bytes.Repeat([]byte{0x41, 1, 0x28, 0, 0, 0x6a}, additions)...)
			body = append(body, 0x1a, 0x0b)
			content = more(count+uint64(n), content[width:], append(binary.AppendUvarint(nil, uint64(len(body))), body...), n)
		}
		long = append(binary.AppendUvarint(append(long, id), uint64(len(content))), content...)
	}
	return long
}

// more returns a section's content with n copies of item appended.
func more(count uint64, had, item []byte, n int) []byte {
	return append(append(binary.AppendUvarint(nil, count), had...), bytes.Repeat(item, n)...)
}
