package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// modelPagemap answers scans from a table of page categories by the kernel's rules, so that
// tests can have pages that are swapped out, merged or of 64 KiB on any machine.
type modelPagemap struct {
	hostPageBytes uint64
	base          uint64
	categories    []uint64 // of each host page from base
	maxPages      int      // walks end after that many pages, like a kernel that stops early; 0: never
	scans         int
}

func (p *modelPagemap) scan(arg *scanArg, regions []pageRegion) (n int, err error) {
	p.scans++
	at := arg.start
	for ; at < arg.end; at += p.hostPageBytes {
		if p.maxPages > 0 && at == arg.start+uint64(p.maxPages)*p.hostPageBytes {
			break
		}
		page := p.categories[(at-p.base)/p.hostPageBytes]
		flipped := page ^ arg.categoryInverted
		if flipped&arg.categoryMask != arg.categoryMask || arg.categoryAnyOf != 0 && flipped&arg.categoryAnyOf == 0 {
			continue
		}
		page &= arg.returnMask
		if n > 0 && regions[n-1].end == at && regions[n-1].categories == page {
			regions[n-1].end += p.hostPageBytes
			continue
		}
		if n == len(regions) {
			break
		}
		regions[n] = pageRegion{start: at, end: at + p.hostPageBytes, categories: page}
		n++
	}
	arg.walkEnd = at
	return n, nil
}

func (p *modelPagemap) close() error { return nil }

// kinds of host pages, and their handling in a reset.
var kinds = []struct {
	name       string
	categories uint64
	inImage    bool // occurs within the image
	beyond     bool // occurs beyond the image
	restored   bool
}{
	{"untouched", 0, true, true, false},
	{"only read", pageIsFile | pageIsPresent, true, false, false},
	{"only read, being migrated", pageIsFile | pageIsSwapped, true, false, false},
	{"only read, zero page", pageIsPresent | pageIsPFNZero, false, true, false},
	{"overwritten with zeros and merged", pageIsPresent | pageIsPFNZero, true, false, true},
	{"written", pageIsPresent, true, true, true},
	{"written and swapped out", pageIsSwapped, true, true, true},
}

// TestScanVisitsPrivatePagesOnly sets each page of a cell to a random kind, and to contents that
// differ from the snapshot. Private pages must be restored, and others must not be written,
// because that would make them private.
func TestScanVisitsPrivatePagesOnly(t *testing.T) {
	for _, hostPageBytes := range []int{4 << 10, 16 << 10, 64 << 10} {
		for _, maxPages := range []int{0, 1, 3, 64} {
			t.Run(fmt.Sprintf("host page=%d/walk=%d", hostPageBytes, maxPages), func(t *testing.T) {
				for seed := range uint64(20) {
					visit(t, hostPageBytes, maxPages, rand.New(rand.NewPCG(seed, uint64(hostPageBytes))))
				}
			})
		}
	}
}

func visit(t *testing.T, hostPageBytes, maxPages int, random *rand.Rand) {
	const foreign = 0xee // does not occur in images or zero pages
	cell := make([]byte, 40*pageBytes)
	contents := bytes.Repeat([]byte{0x11}, random.IntN(20*pageBytes/hostPageBytes)*hostPageBytes)
	p := &modelPagemap{hostPageBytes: uint64(hostPageBytes), base: uint64(address(cell)), maxPages: maxPages}
	touchedBytes := wholeBytes + 1 + random.IntN(len(cell)-wholeBytes)
	want, wantPages := bytes.Repeat([]byte{foreign}, len(cell)), 0
	copy(cell, want)
	for from := 0; from < len(cell); from += hostPageBytes {
		kind := kinds[random.IntN(len(kinds))]
		for !(kind.inImage && from < len(contents)) && !(kind.beyond && from >= len(contents)) {
			kind = kinds[random.IntN(len(kinds))]
		}
		p.categories = append(p.categories, kind.categories)
		if kind.restored && from < touchedBytes {
			page := want[from : from+hostPageBytes]
			clear(page[copy(page, contents[min(from, len(contents)):]):])
			wantPages++
		}
	}
	m := scanMethod{mappings: mappings{hostPageBytes: hostPageBytes}, pagemap: p}
	hostPages, err := m.reset(&golden{contents: contents}, cell, touchedBytes, new(Scratch))
	require.NoError(t, err)
	require.Equal(t, wantPages, hostPages)
	require.True(t, bytes.Equal(want, cell), "wrong pages were visited")
}

// brokenPagemap returns predefined results.
type brokenPagemap struct {
	answer func(arg *scanArg, regions []pageRegion) (n int, err error)
}

func (p brokenPagemap) scan(arg *scanArg, regions []pageRegion) (int, error) {
	return p.answer(arg, regions)
}

func (brokenPagemap) close() error { return nil }

func TestScanFailsRatherThanLeaks(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(arg *scanArg, regions []pageRegion) (int, error)
		says   string
	}{
		{"refused", func(*scanArg, []pageRegion) (int, error) {
			return 0, unix.ENOTTY
		}, "PAGEMAP_SCAN: inappropriate ioctl"},
		{"no progress", func(arg *scanArg, _ []pageRegion) (int, error) {
			arg.walkEnd = arg.start
			return 0, nil
		}, "stopped at"},
		{"beyond the end", func(arg *scanArg, _ []pageRegion) (int, error) {
			arg.walkEnd = arg.end + 1
			return 0, nil
		}, "stopped at"},
		{"refused when continued", func(arg *scanArg, _ []pageRegion) (int, error) {
			if arg.start%pageBytes != 0 {
				return 0, unix.EFAULT
			}
			arg.walkEnd = arg.start + 1
			return 0, nil
		}, "bad address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cell := acquire(t, 4*pageBytes)
			r := newRestorer(scanMethod{mappings: mappings{hostPageBytes: unix.Getpagesize()}, pagemap: brokenPagemap{c.answer}}, nil)
			f := start(t, r, cell, 1, 1)
			_, err := r.Reset(f.im, cell, len(cell), &f.scratch)
			require.ErrorContains(t, err, c.says)
			f.finish()
			require.NoError(t, r.Close())
		})
	}
}

func TestRefusalsCanBeTold(t *testing.T) {
	refuse := brokenPagemap{func(*scanArg, []pageRegion) (int, error) { return 0, unix.EPERM }}
	r := newRestorer(scanMethod{mappings: mappings{hostPageBytes: unix.Getpagesize()}, pagemap: refuse}, nil)
	f := start(t, r, acquire(t, 2*pageBytes), 1, 1)
	_, err := r.Reset(f.im, f.cell, len(f.cell), &f.scratch)
	require.ErrorIs(t, err, unix.EPERM)
	f.finish()
}

// TestTryFindsLies checks that a system with wrong scan results is not used.
func TestTryFindsLies(t *testing.T) {
	m := mappings{hostPageBytes: unix.Getpagesize()}
	kernel, err := openPagemap()
	require.NoError(t, err)
	defer func() { require.NoError(t, kernel.close()) }()
	require.NoError(t, try(madviseThatCounts{m}), "the probe itself is right")
	for name, answer := range map[string]func(arg *scanArg, regions []pageRegion) (int, error){
		"finds nothing": func(arg *scanArg, _ []pageRegion) (int, error) { arg.walkEnd = arg.end; return 0, nil },
		"forgets the last": func(arg *scanArg, r []pageRegion) (int, error) {
			n, err := kernel.scan(arg, r)
			return max(n-1, 0), err
		},
		"finds all": func(arg *scanArg, r []pageRegion) (int, error) {
			arg.walkEnd = arg.end
			r[0] = pageRegion{start: arg.start, end: arg.end}
			return 1, nil
		},
		"fails": func(*scanArg, []pageRegion) (int, error) { return 0, errors.New("no") },
	} {
		t.Run(name, func(t *testing.T) {
			require.Error(t, try(scanMethod{mappings: m, pagemap: brokenPagemap{answer}}))
		})
	}
}

// madviseThatCounts resets correctly and returns the count that a scan of the probe would have found.
type madviseThatCounts struct{ mappings }

func (madviseThatCounts) name() string { return "" }
func (madviseThatCounts) close() error { return nil }
func (m madviseThatCounts) reset(g *golden, cell []byte, _ int, _ *Scratch) (int, error) {
	return 2, m.decommit(g, cell)
}

// TestVectorFills dirties several times more separate pages than the region vector holds.
func TestVectorFills(t *testing.T) {
	scan, err := openScan(mappings{hostPageBytes: unix.Getpagesize()})
	if err != nil {
		t.Skipf("PAGEMAP_SCAN does not work here: %v", err)
	}
	kernel := scan.pagemap
	scans := 0
	counting := brokenPagemap{func(arg *scanArg, regions []pageRegion) (int, error) {
		scans++
		return kernel.scan(arg, regions)
	}}
	hostPageBytes := unix.Getpagesize()
	r := newRestorer(scanMethod{mappings: mappings{hostPageBytes: hostPageBytes}, pagemap: counting}, nil)
	const regions = 5*scratchRegions + 7
	pages := roundUp(2*regions*hostPageBytes, pageBytes) / pageBytes
	f := start(t, r, acquire(t, pages*pageBytes), pages/2, 1)
	for i := range regions {
		f.write(2*i*hostPageBytes+i, 1, f.cell[2*i*hostPageBytes+i]+1, 0)
	}
	require.Equal(t, regions, f.reset().HostPages)
	require.Greater(t, scans, 5, "the scan was continued")
	again := func() int {
		f.touched = pages * pageBytes
		return f.reset().HostPages
	}
	again()
	again() // the vector has grown twice
	scans = 0
	require.Equal(t, regions, again())
	require.Equal(t, 1, scans, "they fit into the vector")
	f.scratch.Faultless()
	require.Equal(t, regions, again())
	require.Equal(t, 1, scans, "the pages are known")
	f.finish()
	require.NoError(t, r.Close())
	require.NoError(t, kernel.close())
}
