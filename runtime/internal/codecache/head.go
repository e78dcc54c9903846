package codecache

import (
	"hash/crc32"
	"io"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/runtime/internal/codemap"
)

// headSum is a checksum of a file without the machine code in it, for which wazero has a checksum of its own. A file
// is read whole the first time. Afterwards the rest is enough: machine code is nearly all of a file.
type headSum struct {
	known bool
	sum   checksum
	size  int64 // of the whole file
}

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
	at, length, ok := codemap.MachineCode(io.TeeReader(io.NewSectionReader(f, 0, h.size), crc), h.size)
	if !ok {
		return h, nil
	}
	end := at + length
	if _, err := io.Copy(crc, io.NewSectionReader(f, end, h.size-end)); err != nil {
		return h, err
	}
	crc.Sum(h.sum[:0])
	h.known = true
	return h, nil
}
