package snapshot

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// pagemapScan is the request number of PAGEMAP_SCAN, _IOWR('f', 16, struct pm_scan_arg), and the categories of pages are
// bits, both from the kernel's include/uapi/linux/fs.h. The request number is the same on all systems that encode
// requests as amd64 and arm64 do; others answer that they do not know it.
const (
	pagemapScan = 0xc0606610

	pageIsFile    = 1 << 2 // shows the file's page: not private
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4 // swapped out, or being migrated
	pageIsPFNZero = 1 << 5 // shows the kernel's zero page
)

// scanArg is the kernel's struct pm_scan_arg. A page matches if its categories, after those in categoryInverted were
// flipped, have all of categoryMask and any of categoryAnyOf.
type scanArg struct {
	size, flags                 uint64
	start, end                  uint64
	walkEnd                     uint64 // out: where the walk stopped
	vec, vecLen, maxPages       uint64
	categoryInverted            uint64
	categoryMask, categoryAnyOf uint64
	returnMask                  uint64
}

// scanArgBytes is the size of scanArg, which tells the kernel its version.
const scanArgBytes = 12 * 8

// pageRegion is the kernel's struct page_region: neighbouring pages that match and are of the same categories.
type pageRegion struct {
	start, end uint64
	categories uint64
}

// scratchRegions is the length of the region vector. The kernel allocates as many regions for the time of a scan (512
// at most), and a scan that needs more is continued.
const scratchRegions = 64

// wholeBytes is up to where a touched memory is written back whole rather than scanned: a scan costs more than copying
// 64 KiB does, even if it finds nothing. At twice the size the two are about even (BenchmarkSmall), and only the scan tells
// what was written.
const wholeBytes = pageBytes

// Scratch is what Reset works with, so that it need not allocate, and what it knows of a cell: one for each instance, as part of it. The
// zero value is ready. Not to be used by two resets at a time.
type Scratch struct {
	arg     scanArg
	regions [scratchRegions]pageRegion

	known       bool // regions[:found] are all private pages below extentBytes
	found       int
	extentBytes int  // beyond it no page was private at the last scan
	faultless   bool // until the next Reset
}

// Faultless promises for the next Reset that the cell was used by one thread since the last one, and that this thread had no page
// fault meanwhile. A page becomes private by a fault and in no other way, so the private pages are the same as then.
func (sc *Scratch) Faultless() { sc.faultless = true }

// Forget is due when the cell has been mapped or decommitted.
func (sc *Scratch) Forget() { sc.known, sc.extentBytes, sc.faultless = false, 0, false }

// pagemap answers scans. The kernel's is one; tests have others, to show what a machine shows only under pressure.
type pagemap interface {
	// scan walks from arg.start to arg.end until regions is full, sets arg.walkEnd and returns how many regions it filled.
	// Both arguments are on the heap, or the kernel may write to a stack that has moved.
	scan(arg *scanArg, regions []pageRegion) (n int, err error)
	close() error
}

// scanMethod resets by copying back what the kernel says is private.
type scanMethod struct {
	mappings
	pagemap pagemap // immutable
	verify  bool    // immutable; do not believe Scratch.Faultless
}

func (scanMethod) name() string { return "pagemap_scan" }

// reset writes small memories back whole, and what is private of others: what it was at the last scan, if there were no faults since.
// A scan goes as far as any scan before it: a memory that has shrunk may grow again, into pages that are private already.
func (m scanMethod) reset(g *golden, cell []byte, touchedBytes int, sc *Scratch) (hostPages int, err error) {
	faultless := sc.faultless && sc.known
	sc.faultless, sc.known = false, false
	touchedBytes = roundUp(touchedBytes, m.hostPageBytes)
	switch {
	case faultless:
		hostPages = m.restoreAll(g, cell, sc)
		if m.verify {
			return hostPages, m.check(cell, sc)
		}
		sc.known = true
		return hostPages, nil
	case touchedBytes <= wholeBytes:
		return rewrite(g.contents, cell, touchedBytes) / m.hostPageBytes, nil
	}
	sc.extentBytes = max(sc.extentBytes, touchedBytes)
	return m.scan(g, cell, sc.extentBytes, sc)
}

// restoreAll restores what the last scan has found.
func (m scanMethod) restoreAll(g *golden, cell []byte, sc *Scratch) (hostPages int) {
	base := uint64(address(cell))
	for i := range sc.regions[:sc.found] {
		region := &sc.regions[i]
		hostPages += m.restore(g.contents, cell, int(region.start-base), int(region.end-base), region.categories)
	}
	return hostPages
}

// check scans for private pages that sc does not know of, or takes for the kernel's zero page, which holds nothing.
func (m scanMethod) check(cell []byte, sc *Scratch) error {
	now, base := new(Scratch), uint64(address(cell))
	now.arg = privatePages(base, base+uint64(len(cell)))
	found, err := m.pagemap.scan(&now.arg, now.regions[:])
	if err != nil {
		return err
	}
	for _, r := range now.regions[:found] {
		for at := r.start; at < r.end && r.categories&pageIsPFNZero == 0; at += uint64(m.hostPageBytes) {
			if !slices.ContainsFunc(sc.regions[:sc.found], func(k pageRegion) bool {
				return k.start <= at && at < k.end && k.categories&pageIsPFNZero == 0
			}) {
				return fmt.Errorf("the host page at %#x has become private without a fault", at-base)
			}
		}
	}
	sc.known = true
	return nil
}

// scan visits each private page in the first n bytes of the cell. A page is private if it is no page of the file, and
// there is one: PRESENT, or SWAPPED. The latter matters, for a page that was swapped out or is just being migrated
// still holds what a guest wrote. The scan is continued until it has reached the end, however often the vector fills.
func (m scanMethod) scan(g *golden, cell []byte, n int, sc *Scratch) (hostPages int, err error) {
	base := uint64(address(cell))
	end := base + uint64(n)
	for at := base; at < end; at = sc.arg.walkEnd {
		sc.arg = privatePages(at, end)
		if sc.found, err = m.pagemap.scan(&sc.arg, sc.regions[:]); err != nil {
			return hostPages, fmt.Errorf("PAGEMAP_SCAN: %w", err)
		}
		if sc.arg.walkEnd <= at || sc.arg.walkEnd > end {
			return hostPages, fmt.Errorf("PAGEMAP_SCAN from %#x to %#x stopped at %#x", at, end, sc.arg.walkEnd)
		}
		hostPages += m.restoreAll(g, cell, sc)
		sc.known = at == base && sc.arg.walkEnd == end
	}
	return hostPages, nil
}

// privatePages asks for the private pages from start to end.
func privatePages(start, end uint64) scanArg {
	return scanArg{
		start: start, end: end,
		categoryInverted: pageIsFile,
		categoryMask:     pageIsFile,
		categoryAnyOf:    pageIsPresent | pageIsSwapped,
		returnMask:       pageIsPFNZero,
	}
}

// restore writes the image's contents over cell[from:to], which may lie across the image's end, and returns how many
// host pages that were. The kernel's zero page is right beyond the image, where a guest has only read. In the image it
// is not: there it takes the place of what a guest has overwritten with zeros, if same pages are merged (KSM).
func (m scanMethod) restore(contents, cell []byte, from, to int, categories uint64) (hostPages int) {
	if from < len(contents) {
		n := copy(cell[from:to], contents[from:])
		from, hostPages = from+n, n/m.hostPageBytes
	}
	if categories&pageIsPFNZero == 0 {
		clear(cell[from:to])
		hostPages += (to - from) / m.hostPageBytes
	}
	return hostPages
}

func (m scanMethod) close() error { return m.pagemap.close() }

// kernelPagemap is /proc/self/pagemap, open for the restorer's life.
type kernelPagemap struct {
	fd int // immutable
}

func openPagemap() (kernelPagemap, error) {
	fd, err := unix.Open("/proc/self/pagemap", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return kernelPagemap{}, fmt.Errorf("open /proc/self/pagemap: %w", err)
	}
	return kernelPagemap{fd: fd}, nil
}

func (p kernelPagemap) close() error { return unix.Close(p.fd) }
