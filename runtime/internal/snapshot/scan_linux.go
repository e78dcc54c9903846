package snapshot

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// pagemapScan is the request number of PAGEMAP_SCAN, _IOWR('f', 16, struct pm_scan_arg). It and
// the page categories are from the kernel's include/uapi/linux/fs.h. The number is the same on
// all architectures that encode requests like amd64 and arm64; others return an error for it.
const (
	pagemapScan = 0xc0606610

	pageIsFile    = 1 << 2 // maps the file's page: not private
	pageIsPresent = 1 << 3
	pageIsSwapped = 1 << 4 // swapped out, or being migrated
	pageIsPFNZero = 1 << 5 // maps the kernel's zero page
)

// scanArg is the kernel's struct pm_scan_arg. A page matches if its categories, with those
// in categoryInverted flipped, contain all of categoryMask and any of categoryAnyOf.
type scanArg struct {
	size, flags                 uint64
	start, end                  uint64
	walkEnd                     uint64 // out: end of the walk
	vec, vecLen, maxPages       uint64
	categoryInverted            uint64
	categoryMask, categoryAnyOf uint64
	returnMask                  uint64
}

// scanArgBytes is the size of scanArg. The kernel derives the version of the struct from it.
const scanArgBytes = 12 * 8

// pageRegion is the kernel's struct page_region: a range of matching pages with the same categories.
type pageRegion struct {
	start, end uint64
	categories uint64
}

// scratchRegions is the length of the region vector. The kernel allocates as many
// regions during a scan (at most 512). A scan that needs more is continued, and has no use for the next reset: so the vector
// grows, up to maxRegions.
const (
	scratchRegions = 64
	maxRegions     = 512
)

// wholeBytes is the size of touched memory up to which it is restored whole instead of
// scanned. A scan costs more than copying 64 KiB, even if it finds nothing. At twice that
// size they cost about the same (BenchmarkSmall), but only a scan reports the written pages.
const wholeBytes = pageBytes

// Scratch is the working memory of Reset, which avoids allocations, and its knowledge of a cell. Each
// instance has one. The zero value is ready. It must not be used by two resets at the same time.
type Scratch struct {
	arg     scanArg
	regions []pageRegion // first, or a longer one after a scan that needed it
	first   [scratchRegions]pageRegion

	known       bool // regions[:found] are all private pages below extentBytes
	found       int
	short       bool // the last scan did not fit into regions
	extentBytes int  // no page beyond it was private at the last scan
	faultless   bool // until the next Reset
}

// vector returns the vector for a scan. It is longer if the last scan did not fit into it.
func (sc *Scratch) vector() []pageRegion {
	switch n := len(sc.regions); {
	case n == 0:
		sc.regions = sc.first[:]
	case sc.short && n < maxRegions:
		sc.regions = make([]pageRegion, min(4*n, maxRegions))
	}
	sc.short = false
	return sc.regions
}

// Faultless promises to the next Reset that since the previous one only a single thread
// used the cell, and that this thread had no page faults. A page becomes private only
// by a fault, so the private pages are unchanged.
func (sc *Scratch) Faultless() { sc.faultless = true }

// Forget must be called after the cell was mapped or decommitted.
func (sc *Scratch) Forget() { sc.known, sc.extentBytes, sc.faultless = false, 0, false }

// pagemap performs scans. Tests replace the kernel's one to produce results that occur
// only under memory pressure.
type pagemap interface {
	// scan walks from arg.start to arg.end until regions is full, sets arg.walkEnd and returns the number of
	// regions filled. Both arguments must be on the heap: the kernel writes to them, and a stack can move.
	scan(arg *scanArg, regions []pageRegion) (n int, err error)
	close() error
}

// scanMethod resets by restoring the pages that the kernel reports as private.
type scanMethod struct {
	mappings
	pagemap pagemap // immutable
	verify  bool    // immutable; verify the promises of Scratch.Faultless
}

func (scanMethod) name() string { return "pagemap_scan" }

// reset restores a cell. Small memories are restored whole. For larger ones it restores only
// private pages, reusing the last scan if no page fault happened since. A scan extends as far as
// all previous scans: a memory that has shrunk may grow again, into pages that are already private.
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

// restoreAll restores the pages found by the last scan.
func (m scanMethod) restoreAll(g *golden, cell []byte, sc *Scratch) (hostPages int) {
	base := uint64(address(cell))
	for i := range sc.regions[:sc.found] {
		region := &sc.regions[i]
		hostPages += m.restore(g.contents, cell, int(region.start-base), int(region.end-base), region.categories)
	}
	return hostPages
}

// check returns an error if there are private pages that sc does not know, or knows as
// the kernel's zero page.
func (m scanMethod) check(cell []byte, sc *Scratch) error {
	now, base := new(Scratch), uint64(address(cell))
	now.arg = privatePages(base, base+uint64(len(cell)))
	now.regions = make([]pageRegion, maxRegions)
	found, err := m.pagemap.scan(&now.arg, now.regions)
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

// scan restores the private pages in the first n bytes of the cell. A page is private
// if it is not a page of the file and is PRESENT or SWAPPED. SWAPPED is needed
// because a page that was swapped out or is being migrated still has a guest's data.
// Whenever the vector is full the scan is continued, until it has reached the end.
func (m scanMethod) scan(g *golden, cell []byte, n int, sc *Scratch) (hostPages int, err error) {
	base := uint64(address(cell))
	end, regions := base+uint64(n), sc.vector()
	for at := base; at < end; at = sc.arg.walkEnd {
		sc.arg = privatePages(at, end)
		if sc.found, err = m.pagemap.scan(&sc.arg, regions); err != nil {
			return hostPages, fmt.Errorf("PAGEMAP_SCAN: %w", err)
		}
		if sc.arg.walkEnd <= at || sc.arg.walkEnd > end {
			return hostPages, fmt.Errorf("PAGEMAP_SCAN from %#x to %#x stopped at %#x", at, end, sc.arg.walkEnd)
		}
		hostPages += m.restoreAll(g, cell, sc)
		sc.known = at == base && sc.arg.walkEnd == end
		sc.short = !sc.known
	}
	return hostPages, nil
}

// privatePages returns the argument of a scan for the private pages from start to end.
func privatePages(start, end uint64) scanArg {
	return scanArg{
		start:            start,
		end:              end,
		categoryInverted: pageIsFile,
		categoryMask:     pageIsFile,
		categoryAnyOf:    pageIsPresent | pageIsSwapped,
		returnMask:       pageIsPFNZero,
	}
}

// restore writes the image's contents over cell[from:to], which may extend beyond the
// image, and returns the number of host pages written. Beyond the image, the kernel's
// zero page is correct: a guest has only read there. Within the image it is not: with
// same-page merging (KSM) it can replace a page that a guest has overwritten with zeros.
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

// kernelPagemap is /proc/self/pagemap, open until the Restorer is closed.
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
