package snapshot

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Open returns a Restorer with the best method of this system. It tries PAGEMAP_SCAN out: version numbers do
// not show whether it works with this kernel, in a container's /proc, or on a system that emulates Linux.
func Open(o Options) (*Restorer, error) {
	m := mappings{hostPageBytes: unix.Getpagesize()}
	if pageBytes%m.hostPageBytes != 0 {
		err := fmt.Errorf("snapshot: host pages of %d bytes do not divide wasm pages", m.hostPageBytes)
		return newRestorer(copyMethod{hostPageBytes: pageBytes}, err), nil
	}
	if o.DisableScan {
		return newRestorer(madviseMethod{m}, errors.New("snapshot: PAGEMAP_SCAN is disabled")), nil
	}
	scan, err := openScan(m)
	if err != nil {
		return newRestorer(madviseMethod{m}, fmt.Errorf("snapshot: PAGEMAP_SCAN does not work here: %w", err)), nil
	}
	scan.verify = o.Verify
	r := newRestorer(scan, nil)
	r.watchesFaults = countsFaults() == nil
	return r, nil
}

func openScan(m mappings) (scanMethod, error) {
	p, err := openPagemap()
	if err != nil {
		return scanMethod{}, err
	}
	scan := scanMethod{mappings: m, pagemap: p}
	if err := try(scan); err != nil {
		return scanMethod{}, errors.Join(err, p.close())
	}
	return scan, nil
}

// try resets a cell of four pages, two of them from the image. In each half, one page
// is written and the other only read.
func try(m method) (err error) {
	const written, read, end = pageBytes, 2 * pageBytes, 4 * pageBytes
	cell, err := unix.Mmap(-1, 0, end, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("map a cell: %w", err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(cell)) }()
	want := make([]byte, end)
	want[0], want[written] = 1, 2
	g, err := m.capture(piecesOf(want[:read]))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.discard(&g)) }()
	if err := m.mapOver(&golden{fd: -1}, &g, cell, 0); err != nil {
		return err
	}
	cell[written] += 3 + cell[0]
	cell[read+written] += 4 + cell[read]
	hostPages, err := m.reset(&g, cell, end, new(Scratch))
	if err != nil {
		return err
	}
	if hostPages != 2 || !bytes.Equal(cell, want) {
		return fmt.Errorf("2 host pages were written and %d found", hostPages)
	}
	return nil
}
