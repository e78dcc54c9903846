package codecache

import (
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/vespo-dev/vespo/internal/regular"
)

// headSum is a checksum of a file without the machine code in it, for which wazero has a checksum of its own. A file
// is read whole the first time. Afterwards the rest is enough: machine code is nearly all of a file.
type headSum struct {
	known bool
	sum   checksum
	size  int64 // of the whole file
}

// The beginning of wazero's files: a name, the length of the version and the version, the number of functions, the
// offset of each, and the length of the machine code.
const (
	wazeroName  = "WAZEVO"
	offsetBytes = 8
)

// headOf returns the checksum of a file without its machine code. For a file of another form it is not known.
func headOf(path string) (h headSum, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return h, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return h, err
	}
	h.size = info.Size()
	crc := crc32.New(castagnoli())
	end, ok := machineCodeEnd(io.TeeReader(io.NewSectionReader(f, 0, h.size), crc), h.size)
	if !ok {
		return h, nil
	}
	if _, err := io.Copy(crc, io.NewSectionReader(f, end, h.size-end)); err != nil {
		return h, err
	}
	crc.Sum(h.sum[:0])
	h.known = true
	return h, nil
}

// machineCodeEnd reads a file up to its machine code, and returns the end of that.
func machineCodeEnd(r io.Reader, size int64) (end int64, ok bool) {
	read := func(n int64) []byte {
		if ok = ok && n <= size; !ok {
			return make([]byte, offsetBytes)
		}
		part := make([]byte, n)
		_, err := io.ReadFull(r, part)
		ok, end = err == nil, end+n
		return part
	}
	ok = true
	name := read(int64(len(wazeroName) + 1))
	ok = ok && string(name[:len(wazeroName)]) == wazeroName
	version := read(int64(name[len(name)-1]) + 4)
	functions := binary.LittleEndian.Uint32(version[len(version)-4:])
	offsets := read(offsetBytes * (int64(functions) + 1))
	length := binary.LittleEndian.Uint64(offsets[len(offsets)-offsetBytes:])
	if !ok || end > size || length > uint64(size-end) {
		return 0, false
	}
	return end + int64(length), true
}
