package snapshot

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// mappings is the common part of the Linux methods. An image is a sealed memory file. A
// cell is a private mapping of it, followed by anonymous memory; small images are copied into anonymous memory. A mapped cell uses at
// most two of the vm.max_map_count mappings of the process. A wiped one uses at most
// one: the kernel merges it with its neighbours unless pages of both were written.
type mappings struct {
	hostPageBytes int // immutable
}

// capture writes the pieces to a memory file and seals it. The gaps become holes, and
// the file ends with the last one.
func (m mappings) capture(pieces []Piece) (golden, error) {
	if len(pieces) == 0 {
		return golden{fd: -1}, nil
	}
	fd, err := memfd("vespo-image")
	if err != nil {
		return golden{}, fmt.Errorf("create a memory file: %w", err)
	}
	contents, err := m.fill(fd, pieces)
	if err != nil {
		return golden{}, errors.Join(err, unix.Close(fd))
	}
	return golden{contents: contents, fd: fd}, nil
}

// memfd creates a file that can be sealed and never executed. Kernels before 6.3 do not
// support MFD_NOEXEC_SEAL.
func memfd(name string) (fd int, err error) {
	fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_NOEXEC_SEAL|unix.MFD_ALLOW_SEALING)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	return fd, err
}

// fill writes and seals the file, and maps it for reading. The mapping is private because kernels before
// 6.7 refuse shared mappings of a sealed file. It is never written, so it still shares the file's pages.
func (m mappings) fill(fd int, pieces []Piece) (contents []byte, err error) {
	sizeBytes := roundUp(end(pieces), m.hostPageBytes)
	if err := unix.Ftruncate(fd, int64(sizeBytes)); err != nil {
		return nil, fmt.Errorf("size the memory file: %w", err)
	}
	for _, p := range pieces {
		n, err := unix.Pwrite(fd, p.Bytes, int64(p.Offset))
		if err == nil && n < len(p.Bytes) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return nil, fmt.Errorf("write to the memory file: %w", err)
		}
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("seal the memory file: %w", err)
	}
	if contents, err = unix.Mmap(fd, 0, sizeBytes, unix.PROT_READ, unix.MAP_PRIVATE); err != nil {
		return nil, fmt.Errorf("map the memory file: %w", err)
	}
	return contents, nil
}

// mapOver changes as few mappings as possible: each change interrupts the other processors. An image that is not copied is
// a mapping of the file, with anonymous memory behind it.
func (m mappings) mapOver(before, g *golden, cell []byte, touchedBytes int) error {
	was, now := before.mappedBytes(), g.mappedBytes()
	if now > 0 {
		if err := mapFile(g.fd, cell[:now]); err != nil {
			return err
		}
	}
	if was > now {
		if err := m.wipe(cell[now:was]); err != nil {
			return err
		}
	}
	replaced, written := max(was, now), max(touchedBytes, len(before.contents))
	if replaced > 0 || written > wholeBytes {
		if err := m.empty(cell, replaced, written); err != nil {
			return err
		}
		written = 0
	}
	if now > 0 {
		return nil
	}
	n := copy(cell, g.contents)
	zero(cell[n:max(n, written)], m.hostPageBytes)
	return nil
}

// empty discards the anonymous pages of the cell from one offset to another.
func (m mappings) empty(cell []byte, from, to int) error {
	to = roundUp(to, m.hostPageBytes)
	if from >= to {
		return nil
	}
	if unix.Madvise(cell[from:to], unix.MADV_DONTNEED) == nil {
		return nil
	}
	return m.wipe(cell[from:to]) // locked memory cannot be discarded
}

func (m mappings) wipe(cell []byte) error {
	if err := mapAnonymous(cell); err != nil {
		return err
	}
	return refuseHugePages(cell)
}

// mappedBytes returns the part of a cell that is a mapping of the file. Small images are copied instead.
func (g *golden) mappedBytes() int {
	if len(g.contents) <= wholeBytes {
		return 0
	}
	return len(g.contents)
}

// refuseHugePages repeats the slab's madvise call. A new mapping does not inherit it,
// and without it would not merge with its neighbours. Mappings of files do not need it: their private pages are small.
func refuseHugePages(cell []byte) error {
	// EINVAL: the kernel has no transparent huge pages.
	if err := unix.Madvise(cell, unix.MADV_NOHUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("keep huge pages off: %w", err)
	}
	return nil
}

// decommit discards private pages: the next access faults in the file's page, or a zero
// page beyond the image. A copied image is copied again.
func (m mappings) decommit(g *golden, cell []byte) error {
	return m.discardPrivate(g, cell, len(cell))
}

func (m mappings) discardPrivate(g *golden, cell []byte, n int) error {
	if err := unix.Madvise(cell[:n], unix.MADV_DONTNEED); err != nil {
		return err
	}
	if g.mappedBytes() == 0 {
		copy(cell[:n], g.contents)
	}
	return nil
}

func (m mappings) discard(g *golden) error {
	if g.contents == nil {
		return nil
	}
	contents, fd := g.contents, g.fd
	g.contents, g.fd = nil, -1
	return errors.Join(unix.Munmap(contents), unix.Close(fd))
}

// madviseMethod resets by discarding private pages.
type madviseMethod struct {
	mappings
}

func (madviseMethod) name() string { return madvise }

func (m madviseMethod) reset(g *golden, cell []byte, touchedBytes int, _ *Scratch) (int, error) {
	if touchedBytes == 0 {
		return 0, nil
	}
	return 0, m.discardPrivate(g, cell, roundUp(touchedBytes, m.hostPageBytes))
}

func (madviseMethod) close() error { return nil }
