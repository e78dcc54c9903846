package snapshot

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// pageBytes is the size of a wasm page. Captured memories and cells are multiples of it.
const pageBytes = 64 << 10

// ErrClosed is returned by operations on a closed Image or Restorer.
var ErrClosed = errors.New("snapshot: closed")

// Options configures a Restorer. The zero value selects the best method of the system.
type Options struct {
	// DisableScan disables PAGEMAP_SCAN, as on a kernel without it.
	DisableScan bool
	// Verify scans even after Scratch.Faultless, and makes a Reset fail that would have
	// missed a page. It is for tests, because it removes the gain of Faultless.
	Verify bool
}

// Restorer captures, maps and resets memories. It is safe for concurrent use on
// different cells. A cell must have only one user at a time.
type Restorer struct {
	method   method // immutable
	fallback error  // immutable; why method is not the best one of the system

	watchesFaults bool // immutable once opened

	mu     sync.Mutex
	cells  map[uintptr]shown // guarded by mu; by address of the cell
	images int               // guarded by mu; images captured and not released
	closed bool              // guarded by mu
}

// shown is what a cell shows. The zero value is a wiped cell.
type shown struct {
	im   *Image
	torn bool // the last Map has failed: the mappings of the cell are unknown
}

// Dirty is the result of a reset.
type Dirty struct {
	// HostPages is the number of host pages copied back or cleared. With pagemap_scan it is the cell's
	// private set: a restored page stays private, so the number does not decrease until Decommit. (Touched
	// memory up to 64 KiB is copied whole, and is then entirely private.) With madvise it is 0: the kernel
	// does not report the number, and no page stays private. With copy it is all touched memory.
	HostPages int
}

// method is an implementation for a system. Its arguments have been checked.
type method interface {
	name() string
	capture(pieces []Piece) (golden, error)
	// mapOver replaces the contents of a cell that shows before, and whose bytes from touchedBytes on are those of
	// before. before is empty for a wiped cell.
	mapOver(before, g *golden, cell []byte, touchedBytes int) error
	reset(g *golden, cell []byte, touchedBytes int, sc *Scratch) (hostPages int, err error)
	decommit(g *golden, cell []byte) error
	wipe(cell []byte) error
	discard(g *golden) error // the inverse of capture
	close() error
}

const madvise = "madvise" // method that returns no number of pages

// Method returns the name of the method: "pagemap_scan", "madvise" or "copy".
func (r *Restorer) Method() string { return r.method.name() }

// Measures reports whether Reset returns the number of private or touched host pages.
func (r *Restorer) Measures() bool { return r.method.name() != madvise }

// Fallback returns, for the log, the reason why Method is not "pagemap_scan"; nil if it is.
func (r *Restorer) Fallback() error { return r.fallback }

// WatchesFaults reports whether Scratch.Faultless makes Reset faster for a memory of
// this size. Callers use ThreadFaults to check for faults.
func (r *Restorer) WatchesFaults(memoryBytes uint64) bool {
	return r.watchesFaults && memoryBytes > pageBytes
}

func newRestorer(m method, fallback error) *Restorer {
	return &Restorer{method: m, fallback: fallback, cells: map[uintptr]shown{}}
}

// Capture makes a golden copy of mem, whose length must be a multiple of 64 KiB and may
// be 0. mem must not change meanwhile.
func (r *Restorer) Capture(mem []byte) (*Image, error) {
	if len(mem)%pageBytes != 0 {
		return nil, fmt.Errorf("snapshot: capture of %d bytes: not a multiple of %d", len(mem), pageBytes)
	}
	return r.build(len(mem), piecesOf(mem))
}

func (r *Restorer) build(sizeBytes int, pieces []Piece) (*Image, error) {
	if err := r.countImage(1); err != nil {
		return nil, err
	}
	g, err := r.method.capture(pieces)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snapshot: capture of %d bytes: %w", sizeBytes, err), r.countImage(-1))
	}
	im := &Image{owner: r, sizeBytes: sizeBytes, golden: g, refs: 1}
	for _, p := range pieces {
		im.heldBytes += int64(len(p.Bytes))
	}
	return im, nil
}

func (r *Restorer) countImage(n int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed && n > 0 {
		return ErrClosed
	}
	r.images += n
	return nil
}

// Map replaces the contents of cell with im, followed by zeros. No guest may be running in the cell.
// After an error, the contents of the cell are undefined, and it may only be mapped or wiped again.
func (r *Restorer) Map(im *Image, cell []byte) error { return r.Replace(im, cell, len(cell)) }

// Replace is Map for a cell of which only the first touchedBytes can have been written since it was mapped or wiped. It does
// not rely on resets since then.
func (r *Restorer) Replace(im *Image, cell []byte, touchedBytes int) error {
	if err := im.checkCell(cell); err != nil {
		return err
	}
	if err := checkTouched(cell, touchedBytes); err != nil {
		return err
	}
	before, err := im.retain(cell)
	if err != nil {
		return err
	}
	if err := r.replace(before, im, cell, touchedBytes); err != nil {
		err = fmt.Errorf("snapshot: map an image of %d bytes over a cell of %d: %w", im.sizeBytes, len(cell), err)
		r.tear(cell)
		return errors.Join(err, im.release())
	}
	return r.show(cell, shown{im: im})
}

func (r *Restorer) replace(before shown, im *Image, cell []byte, touchedBytes int) error {
	if before.torn {
		if err := r.method.wipe(cell); err != nil {
			return err
		}
		before.im, touchedBytes = nil, 0
	}
	empty := golden{fd: -1}
	if before.im == nil {
		return r.method.mapOver(&empty, &im.golden, cell, touchedBytes)
	}
	return r.method.mapOver(&before.im.golden, &im.golden, cell, touchedBytes)
}

func checkTouched(cell []byte, touchedBytes int) error {
	if touchedBytes < 0 || touchedBytes > len(cell) {
		return fmt.Errorf("snapshot: %d bytes touched in a cell of %d", touchedBytes, len(cell))
	}
	return nil
}

// Reset restores cell to im. cell must have been mapped from im, and only its first touchedBytes
// may have been written since Map or the last Reset or Decommit: later bytes are not checked. It
// does not allocate. After an error the cell must not be used for another request.
func (r *Restorer) Reset(im *Image, cell []byte, touchedBytes int, sc *Scratch) (Dirty, error) {
	if im.released.Load() {
		return Dirty{}, ErrClosed
	}
	if err := im.checkCell(cell); err != nil {
		return Dirty{}, err
	}
	if err := checkTouched(cell, touchedBytes); err != nil {
		return Dirty{}, err
	}
	hostPages, err := r.method.reset(&im.golden, cell, touchedBytes, sc)
	if err != nil {
		return Dirty{}, fmt.Errorf("snapshot: reset of %d bytes: %w", touchedBytes, err)
	}
	return Dirty{HostPages: hostPages}, nil
}

// Decommit restores cell to im and returns its private host pages to the system. The
// first write to each page costs a fault again.
func (r *Restorer) Decommit(im *Image, cell []byte) error {
	if im.released.Load() {
		return ErrClosed
	}
	if err := im.checkCell(cell); err != nil {
		return err
	}
	if err := r.method.decommit(&im.golden, cell); err != nil {
		return fmt.Errorf("snapshot: decommit of %d bytes: %w", len(cell), err)
	}
	return nil
}

// Wipe clears the whole cell, returns its memory to the system and unmaps its image. It must
// be called before a slot changes its owner. After an error the cell may only be wiped again.
func (r *Restorer) Wipe(cell []byte) error {
	if len(cell) == 0 || len(cell)%pageBytes != 0 {
		return fmt.Errorf("snapshot: wipe of %d bytes: not a positive multiple of %d", len(cell), pageBytes)
	}
	if err := r.method.wipe(cell); err != nil {
		return fmt.Errorf("snapshot: wipe of %d bytes: %w", len(cell), err)
	}
	return r.show(cell, shown{})
}

// show records what cell shows, and releases the image that it showed before.
func (r *Restorer) show(cell []byte, now shown) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.cells[address(cell)].im
	if now == (shown{}) {
		delete(r.cells, address(cell))
	} else {
		r.cells[address(cell)] = now
	}
	if before != nil {
		return before.releaseLocked()
	}
	return nil
}

// tear records that the mappings of cell are unknown. It may still map the image that it showed before.
func (r *Restorer) tear(cell []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cells[address(cell)] = shown{im: r.cells[address(cell)].im, torn: true}
}

// Close releases the resources of the Restorer itself. The error reports images that
// were not closed and cells that were not wiped: these leak.
func (r *Restorer) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	r.closed = true
	err := r.method.close()
	if r.images > 0 {
		err = errors.Join(err, fmt.Errorf("snapshot: %d images were not closed, %d cells were not wiped", r.images, len(r.cells)))
	}
	return err
}

// Image is the golden copy of a memory. It may be closed while cells map it. Afterwards it cannot be mapped
// any more, and its memory is released when the last of these cells is wiped or mapped from another image.
type Image struct {
	owner     *Restorer // immutable
	sizeBytes int       // immutable
	heldBytes int64     // immutable; of golden that is not zero
	golden    golden    // immutable until released

	refs     int         // guarded by owner.mu; one until Close, and one for each cell that maps the image
	closed   bool        // guarded by owner.mu
	released atomic.Bool // refs fell to 0
}

// golden holds the contents of an image.
type golden struct {
	contents []byte // the image without trailing zero pages; whole host pages
	fd       int    // the file mapped as contents, -1 if there is none
}

// Size returns the length of the captured memory in bytes.
func (im *Image) Size() int { return im.sizeBytes }

// HeldBytes returns the memory of the image: host pages of zeros take none.
func (im *Image) HeldBytes() int64 { return im.heldBytes }

// Close closes the image. Cells that map it keep using it.
func (im *Image) Close() error {
	im.owner.mu.Lock()
	defer im.owner.mu.Unlock()
	if im.closed {
		return ErrClosed
	}
	im.closed = true
	return im.releaseLocked()
}

func (im *Image) checkCell(cell []byte) error {
	switch {
	case len(cell) == 0 || len(cell)%pageBytes != 0:
		return fmt.Errorf("snapshot: cell of %d bytes: not a positive multiple of %d", len(cell), pageBytes)
	case len(cell) < im.sizeBytes:
		return fmt.Errorf("snapshot: cell of %d bytes is too small for an image of %d", len(cell), im.sizeBytes)
	}
	return nil
}

// retain counts a cell that is to show the image. It returns what the cell shows now.
func (im *Image) retain(cell []byte) (before shown, err error) {
	im.owner.mu.Lock()
	defer im.owner.mu.Unlock()
	if im.closed {
		return shown{}, ErrClosed
	}
	im.refs++
	return im.owner.cells[address(cell)], nil
}

func (im *Image) release() error {
	im.owner.mu.Lock()
	defer im.owner.mu.Unlock()
	return im.releaseLocked()
}

func (im *Image) releaseLocked() error {
	im.refs--
	if im.refs > 0 {
		return nil
	}
	im.released.Store(true)
	im.owner.images--
	if err := im.owner.method.discard(&im.golden); err != nil {
		return fmt.Errorf("snapshot: release an image of %d bytes: %w", im.sizeBytes, err)
	}
	return nil
}
