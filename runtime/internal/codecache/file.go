package codecache

import (
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/regular"
)

// file is a file of code.
type file struct {
	code      Digest
	sum       checksum // of the content
	name      string   // wazero's file name
	diskBytes int64
	head      headSum             // of the parts that wazero does not check; unknown before the first Stage
	whole     *wholeSum           // nil before the first Export
	last      time.Time           // modification time when the directory was read
	users     map[Digest]struct{} // modules
	about     *about              // nil if it is not described
	snapshots map[Digest]*kept    // by id
}

func newFile() *file {
	return &file{users: make(map[Digest]struct{}), snapshots: make(map[Digest]*kept)}
}

func (f *file) fileName() string {
	return hex.EncodeToString(f.code[:]) + "-" + hex.EncodeToString(f.sum[:]) + "-" + f.name
}

// parseName is the inverse of fileName.
func parseName(name string) (*file, bool) {
	parts := strings.SplitN(name, "-", 3)
	f := newFile()
	if len(parts) != 3 || !decodeInto(f.code[:], parts[0]) || !decodeInto(f.sum[:], parts[1]) || parts[2] == "" {
		return nil, false
	}
	f.name = parts[2]
	return f, true
}

// link creates a hard link, or a copy if the file system has no hard links. It replaces a file that is there.
func link(from, to string) error {
	err := os.Link(from, to)
	if errors.Is(err, fs.ErrExist) { // it may be a link to a mapped file, left by a removal that failed: it must not be written to
		if err := os.Remove(to); err != nil {
			return err
		}
		err = os.Link(from, to)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	in, err := regular.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := regular.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return nil
}

// checksum detects files that a crash or a disk has damaged. wazero checks only the
// instructions in a file, but not the addresses of the functions.
type checksum [crc32.Size]byte

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // it is made once

// sumOf returns the checksum of a file.
func sumOf(path string) (sum checksum, err error) {
	f, err := regular.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := crc32.New(castagnoli())
	if _, err = io.Copy(h, f); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}
