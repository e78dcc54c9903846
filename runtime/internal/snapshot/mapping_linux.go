package snapshot

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// mappings is the common part of the Linux methods. An image is a sealed memory file. A
// cell is a private mapping of it, followed by anonymous memory. A mapped cell uses at
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

func (m mappings) mapOver(g *golden, cell []byte) error {
	n := len(g.contents)
	if n > 0 {
		if err := mapFile(g.fd, cell[:n]); err != nil {
			return err
		}
	}
	if n < len(cell) {
		if err := mapAnonymous(cell[n:]); err != nil {
			return err
		}
	}
	return refuseHugePages(cell)
}

func (m mappings) wipe(cell []byte) error {
	if err := mapAnonymous(cell); err != nil {
		return err
	}
	return refuseHugePages(cell)
}

// refuseHugePages repeats the slab's madvise call. A new mapping does not inherit it,
// and without it would not merge with its neighbours.
func refuseHugePages(cell []byte) error {
	// EINVAL: the kernel has no transparent huge pages.
	if err := unix.Madvise(cell, unix.MADV_NOHUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("keep huge pages off: %w", err)
	}
	return nil
}

// decommit discards private pages: the next access faults in the file's page, or a zero
// page beyond the image.
func (m mappings) decommit(_ *golden, cell []byte) error {
	return unix.Madvise(cell, unix.MADV_DONTNEED)
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

func (m madviseMethod) reset(_ *golden, cell []byte, touchedBytes int, _ *Scratch) (int, error) {
	if touchedBytes == 0 {
		return 0, nil
	}
	return 0, unix.Madvise(cell[:roundUp(touchedBytes, m.hostPageBytes)], unix.MADV_DONTNEED)
}

func (madviseMethod) close() error { return nil }
