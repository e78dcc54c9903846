// Package codemap maps machine code of wazero from files.
//
// wazero reads compiled code into anonymous memory, where all of it stays, although guests execute little of it. This
// package keeps the same bytes in packed files, which begin with the machine code. wazero loads a shell, which is its own
// file without machine code, and gets the mapped code afterwards: the kernel reads the pages that are executed, shares
// them with other processes, and can drop them again.
//
//	packed file:   machine code | zeros up to a page | wazero's head | wazero's tail | footer
//	wazero's file: head | machine code | tail
package codemap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"

	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/internal/scarce"
)

const (
	pageBytes   = 4096 // the bytes of wazero's head and tail are not in the last page of code
	footerBytes = 32
	footerMagic = "vespocd1"

	wazeroName  = "WAZEVO"
	offsetBytes = 8
	noSourceMap = 0

	maxRestBytes = 1 << 30 // of head and tail
	bufferBytes  = 256 << 10
)

// ErrForm is returned for a file that is not of the expected form.
var ErrForm = errors.New("not a file of machine code in this form")

// ErrDamaged is returned for a packed file whose machine code has changed.
var ErrDamaged = errors.New("the machine code has changed")

// footer describes a packed file. It has the sizes of its parts, in bytes.
type footer struct {
	Magic            [len(footerMagic)]byte
	Code, Head, Tail uint64
}

// Sum is a CRC-32C.
type Sum [crc32.Size]byte

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // it is made once

func padding(code int64) int64 { return -code & (pageBytes - 1) }

// MachineCode reads a file of wazero up to its machine code, and returns where that begins and its length. ok is false if the
// file has another form.
func MachineCode(r io.Reader, size int64) (at, length int64, ok bool) {
	read := func(n int64) []byte {
		if ok = ok && n <= size-at; !ok {
			return make([]byte, offsetBytes)
		}
		part := make([]byte, n)
		_, err := io.ReadFull(r, part)
		ok, at = err == nil, at+n
		return part
	}
	// A name, the length of the version and the version, the number of functions, the offset of each, and the length of
	// the machine code.
	ok = true
	name := read(int64(len(wazeroName) + 1))
	ok = ok && string(name[:len(wazeroName)]) == wazeroName
	version := read(int64(name[len(name)-1]) + 4)
	functions := binary.LittleEndian.Uint32(version[len(version)-4:])
	offsets := read(offsetBytes * (int64(functions) + 1))
	code := binary.LittleEndian.Uint64(offsets[len(offsets)-offsetBytes:])
	if !ok || code > uint64(size-at) {
		return 0, 0, false
	}
	return at, int64(code), true
}

// Pack writes the packed form of wazero's file from to a new file, and to the disk. The error matches ErrForm if the
// file has no machine code, or something besides that depends on its address. A file that was not written whole is removed.
func Pack(from, to string) (err error) {
	in, err := regular.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	head := new(bytes.Buffer)
	at, length, ok := MachineCode(io.TeeReader(in, head), info.Size())
	tail := info.Size() - at - length
	if !ok || length == 0 || tail <= crc32.Size || at+tail > maxRestBytes {
		return ErrForm
	}
	end := make([]byte, tail)
	if _, err := in.ReadAt(end, at+length); err != nil {
		return err
	}
	if end[crc32.Size] != noSourceMap {
		return ErrForm
	}
	out, err := regular.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o400) // it must not change while it is mapped
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, out.Close()); err != nil {
			err = errors.Join(err, os.Remove(to))
		}
	}()
	if _, err := io.Copy(out, io.NewSectionReader(in, at, length)); err != nil {
		return err
	}
	rest := append(make([]byte, padding(length)), head.Bytes()...)
	rest = append(rest, end...)
	f := footer{Code: uint64(length), Head: uint64(at), Tail: uint64(tail)}
	copy(f.Magic[:], footerMagic)
	rest, err = binary.Append(rest, binary.LittleEndian, &f)
	if err != nil {
		return err
	}
	if _, err := out.Write(rest); err != nil {
		return err
	}
	return out.Sync()
}

// File is an open packed file. The caller must close it; mappings of it stay.
type File struct {
	// Sum is the checksum of the file.
	Sum Sum

	file       *os.File
	codeBytes  int64
	head, tail []byte   // of wazero's file
	memory     *os.File // the file that was written last, if the disk had no space for it
}

// Open reads a packed file and checks its machine code. The error matches ErrForm or ErrDamaged if that cannot be
// executed. The file is read, not mapped: an unreadable sector is an error here, and would be a signal there.
func Open(path string) (_ *File, err error) {
	file, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	f := &File{file: file}
	rest, err := f.readRest()
	if err != nil {
		return nil, err
	}
	whole := crc32.New(castagnoli())
	if _, err := io.CopyBuffer(struct{ io.Writer }{whole}, struct{ io.Reader }{io.NewSectionReader(file, 0, f.codeBytes)}, make([]byte, min(bufferBytes, f.codeBytes))); err != nil {
		return nil, err
	}
	if whole.Sum32() != binary.LittleEndian.Uint32(f.tail) { // wazero's own checksum
		return nil, ErrDamaged
	}
	_, _ = whole.Write(rest)
	whole.Sum(f.Sum[:0])
	return f, nil
}

// readRest reads all but the machine code, and returns it.
func (f *File) readRest() ([]byte, error) {
	info, err := f.file.Stat()
	if err != nil {
		return nil, err
	}
	size := info.Size()
	if size < footerBytes {
		return nil, ErrForm
	}
	var end footer
	if err := binary.Read(io.NewSectionReader(f.file, size-footerBytes, footerBytes), binary.LittleEndian, &end); err != nil {
		return nil, err
	}
	if string(end.Magic[:]) != footerMagic || end.Code == 0 || end.Code > math.MaxInt64-pageBytes || end.Head > maxRestBytes || end.Tail > maxRestBytes || end.Tail <= crc32.Size {
		return nil, ErrForm
	}
	f.codeBytes = int64(end.Code)
	pad := padding(f.codeBytes)
	length := pad + int64(end.Head) + int64(end.Tail) + footerBytes
	if f.codeBytes != size-length {
		return nil, ErrForm
	}
	rest := make([]byte, length)
	if _, err := f.file.ReadAt(rest, f.codeBytes); err != nil {
		return nil, err
	}
	f.head, f.tail = rest[pad:pad+int64(end.Head)], rest[pad+int64(end.Head):length-footerBytes]
	at, code, ok := MachineCode(bytes.NewReader(f.head), f.SizeBytes())
	if !ok || at != int64(end.Head) || code != f.codeBytes {
		return nil, ErrForm
	}
	return rest, nil
}

// SizeBytes returns the size of wazero's file.
func (f *File) SizeBytes() int64 { return int64(len(f.head)) + f.codeBytes + int64(len(f.tail)) }

// Close closes the file. Mappings stay. What Shell and Unpack have written may not be readable any more.
func (f *File) Close() error { return errors.Join(f.closeMemory(), f.file.Close()) }

func (f *File) closeMemory() error {
	if f.memory == nil {
		return nil
	}
	err := f.memory.Close()
	f.memory = nil
	return err
}

// Unpack writes wazero's file. If the disk is full, path is a link to a file in memory, until Close or the next call.
func (f *File) Unpack(path string) error {
	return f.write(path, f.head, io.NewSectionReader(f.file, 0, f.codeBytes), f.tail)
}

// Shell writes a file from which wazero loads all but the machine code. A full disk is as for Unpack.
func (f *File) Shell(path string) error {
	head := append([]byte(nil), f.head...)
	binary.LittleEndian.PutUint64(head[len(head)-offsetBytes:], 0) // the length of the machine code
	// wazero reads the checksum only if there is machine code.
	return f.write(path, head, io.NewSectionReader(f.file, 0, 0), f.tail[crc32.Size:])
}

func (f *File) write(path string, head []byte, code *io.SectionReader, tail []byte) error {
	whole := func() io.Reader {
		return io.MultiReader(bytes.NewReader(head), io.NewSectionReader(code, 0, code.Size()), bytes.NewReader(tail))
	}
	err := writeFile(path, whole())
	if scarce.NoSpace(err) { // code that is on the disk must load without space
		err = f.keep(path, whole())
	}
	if err != nil {
		return fmt.Errorf("load compiled code: %w", err)
	}
	return nil
}

// writeFile writes a new file. It leaves none after an error.
func writeFile(path string, from io.Reader) error {
	out, err := regular.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// keep is writeFile in memory.
func (f *File) keep(path string, from io.Reader) error {
	if err := f.closeMemory(); err != nil {
		return err
	}
	out, name, err := newMemory()
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, from); err == nil {
		err = os.Symlink(name, path)
	}
	if err != nil {
		return errors.Join(err, out.Close())
	}
	f.memory = out
	return nil
}
