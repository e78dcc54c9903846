package snapshot

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// pageBytes is the size of a wasm page, of which captured memories and cells hold a whole number.
const pageBytes = 64 << 10

// ErrClosed is what an operation gives on an image or a restorer that was closed before.
var ErrClosed = errors.New("snapshot: closed")

// Options choose how a Restorer works. The zero value takes the best method that the system has.
type Options struct {
	// DisableScan leaves PAGEMAP_SCAN out, as on a kernel without it.
	DisableScan bool
	// Verify scans also where Scratch.Faultless makes a scan unnecessary, and makes a Reset fail that would have missed a page. For
	// tests: it takes away what Faultless saves.
	Verify bool
}

// Restorer captures, maps and resets memories. It is safe for concurrent use on different cells; one cell has one user
// at a time.
type Restorer struct {
	method   method // immutable
	fallback error  // immutable: why method is not the best one of the system

	watchesFaults bool // immutable once opened

	mu     sync.Mutex
	cells  map[uintptr]*Image // guarded by mu: the image mapped over the cell at an address
	images int                // guarded by mu: images captured and not released
	closed bool               // guarded by mu
}

// Dirty is what a reset found.
type Dirty struct {
	// HostPages counts the host pages copied back or cleared. With pagemap_scan it is the cell's private set: a page
	// that was copied back stays private, so that the count does not shrink until Decommit. (Up to 64 KiB of touched
	// memory are copied whole, and are then private as a whole.) With madvise it is 0: the kernel does not tell, and
	// nothing stays private. With copy it is all that was touched.
	HostPages int
}

// method is one way to do the work; its implementations differ by system. Arguments have been checked.
type method interface {
	name() string
	capture(mem []byte) (golden, error)
	mapOver(g *golden, cell []byte) error
	reset(g *golden, cell []byte, touchedBytes int, sc *Scratch) (hostPages int, err error)
	decommit(g *golden, cell []byte) error
	wipe(cell []byte) error
	discard(g *golden) error // the opposite of capture
	close() error
}

// Method names how the restorer works: "pagemap_scan", "madvise" or "copy".
func (r *Restorer) Method() string { return r.method.name() }

// Fallback tells why Method is not "pagemap_scan", for the log; nil if it is.
func (r *Restorer) Fallback() error { return r.fallback }

// WatchesFaults tells whether Reset is quicker for those who promise Scratch.Faultless, by ThreadFaults, for a memory of this size.
func (r *Restorer) WatchesFaults(memoryBytes uint64) bool {
	return r.watchesFaults && memoryBytes > pageBytes
}

func newRestorer(m method, fallback error) *Restorer {
	return &Restorer{method: m, fallback: fallback, cells: map[uintptr]*Image{}}
}

// Capture makes a golden copy of mem, whose length is a multiple of 64 KiB and may be 0. mem must not change meanwhile.
func (r *Restorer) Capture(mem []byte) (*Image, error) {
	if len(mem)%pageBytes != 0 {
		return nil, fmt.Errorf("snapshot: capture of %d bytes: not a multiple of %d", len(mem), pageBytes)
	}
	if err := r.countImage(1); err != nil {
		return nil, err
	}
	g, err := r.method.capture(mem)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snapshot: capture of %d bytes: %w", len(mem), err), r.countImage(-1))
	}
	return &Image{owner: r, sizeBytes: len(mem), golden: g, refs: 1}, nil
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

// Map makes cell show im, and zeros beyond it; whatever was there is gone. It must not be given a cell that a guest is
// running in. After an error the cell shows anything and is good only for being mapped or wiped again.
func (r *Restorer) Map(im *Image, cell []byte) error {
	if err := im.checkCell(cell); err != nil {
		return err
	}
	if err := im.retain(); err != nil {
		return err
	}
	if err := r.method.mapOver(&im.golden, cell); err != nil {
		err = fmt.Errorf("snapshot: map an image of %d bytes over a cell of %d: %w", im.sizeBytes, len(cell), err)
		return errors.Join(err, im.release())
	}
	return r.show(cell, im)
}

// Reset makes cell show im again. cell must have been mapped from im, and only its first touchedBytes can have been
// written since Map, or since the last Reset or Decommit: later bytes are not looked at. It allocates nothing. After an
// error the cell is unfit for another request.
func (r *Restorer) Reset(im *Image, cell []byte, touchedBytes int, sc *Scratch) (Dirty, error) {
	if im.released.Load() {
		return Dirty{}, ErrClosed
	}
	if err := im.checkCell(cell); err != nil {
		return Dirty{}, err
	}
	if touchedBytes < 0 || touchedBytes > len(cell) {
		return Dirty{}, fmt.Errorf("snapshot: %d bytes touched in a cell of %d", touchedBytes, len(cell))
	}
	hostPages, err := r.method.reset(&im.golden, cell, touchedBytes, sc)
	if err != nil {
		return Dirty{}, fmt.Errorf("snapshot: reset of %d bytes: %w", touchedBytes, err)
	}
	return Dirty{HostPages: hostPages}, nil
}

// Decommit makes cell show im again, whatever was written to it, and gives its private host pages back to the system.
// Each page that the next request writes costs a fault again.
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

// Wipe makes the whole cell zero and gives its memory back to the system; no image is mapped over it any more. It is
// due before a slot changes hands. After an error the cell is good only for being wiped again.
func (r *Restorer) Wipe(cell []byte) error {
	if len(cell) == 0 || len(cell)%pageBytes != 0 {
		return fmt.Errorf("snapshot: wipe of %d bytes: not a positive multiple of %d", len(cell), pageBytes)
	}
	if err := r.method.wipe(cell); err != nil {
		return fmt.Errorf("snapshot: wipe of %d bytes: %w", len(cell), err)
	}
	return r.show(cell, nil)
}

// show notes that cell shows im (nil: none) and lets go of what it showed before.
func (r *Restorer) show(cell []byte, im *Image) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.cells[address(cell)]
	delete(r.cells, address(cell))
	if im != nil {
		r.cells[address(cell)] = im
	}
	if before != nil {
		return before.releaseLocked()
	}
	return nil
}

// Close gives up what the restorer holds itself. It reports images that were not closed and cells that were not wiped:
// these leak.
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

// Image is the golden copy of a memory. Close may be called while cells show it: it cannot be mapped any more then, and
// its memory is given back when the last of these cells is wiped or mapped from another image.
type Image struct {
	owner     *Restorer // immutable
	sizeBytes int       // immutable
	golden    golden    // immutable until released

	refs     int         // guarded by owner.mu: one for the holder until Close, one for each cell that shows the image
	closed   bool        // guarded by owner.mu
	released atomic.Bool // refs fell to 0
}

// golden is what the contents of an image are copied from.
type golden struct {
	contents []byte // the image without the zeros at its end; whole host pages
	fd       int    // the file that contents is a mapping of, where there is one
}

// Size returns the length of the captured memory in bytes.
func (im *Image) Size() int { return im.sizeBytes }

// Close ends the use of the image, but for cells that show it.
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

func (im *Image) retain() error {
	im.owner.mu.Lock()
	defer im.owner.mu.Unlock()
	if im.closed {
		return ErrClosed
	}
	im.refs++
	return nil
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
