package engine

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/vespo-dev/vespo/runtime/internal/component"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// Info describes a module, as read by the rewriter.
type Info = rewrite.Info

// World lists what a component imports and exports.
type World = component.World

// Decoded is a module that was read and checked, but not compiled. It keeps the bytes
// that it was read from, which must not change. It is safe for concurrent use.
type Decoded struct {
	bin       []byte                 // immutable; nil if open is set
	open      func() ([]byte, error) // immutable; reads the bytes given to Decode; nil if bin is set
	separate  *rewrite.Separate      // immutable; nil if the data cannot be separated from the code
	code      codeID                 // immutable
	module    *rewrite.Decoded       // immutable; nil if the engine knew the code
	info      *Info                  // immutable
	component bool                   // immutable; the bytes are a component
	world     *World                 // immutable; nil for a core module, and after Recall
	sum       [sha256.Size]byte      // immutable; of the bytes given to Decode
	size      int                    // immutable; of the core module
	turn      *turn                  // immutable; to read and compile the module, until Compile returns; nil: Compile waits for one
}

// Decode reads a core module or a component. A component is read as the core module in it: the engine does not know
// the difference. If the module is invalid, the error is a *ModuleError.
func Decode(bin []byte) (*Decoded, error) { return decode(bin, sha256.Sum256(bin), nil) }

// decode reads only the separate part of a module with known code.
func decode(bin []byte, sum [sha256.Size]byte, known func(id codeID, moduleBytes int) *knownCode) (*Decoded, error) {
	var world *World
	if component.Is(bin) {
		guest, err := component.Decode(bin)
		if err != nil {
			return nil, refused(err)
		}
		bin, world = guest.Module, &guest.World
	}
	d := &Decoded{bin: bin, separate: rewrite.Split(bin), component: world != nil, world: world, sum: sum, size: len(bin)}
	if d.separate != nil && known != nil {
		d.code = codeID(d.separate.ID)
		if code := known(d.code, d.size); code != nil {
			d.info = d.origin(infoOf(d.separate, code.decoded))
			return d, nil
		}
	}
	module, err := d.read()
	if err != nil {
		return nil, err
	}
	d.module, d.info, d.separate = module, d.origin(module.Info()), module.Separate()
	if d.code = codeID(sum); d.separate != nil {
		d.code = codeID(d.separate.ID)
	}
	return d, nil
}

// read reads the whole module.
func (d *Decoded) read() (*rewrite.Decoded, error) {
	if d.module != nil {
		return d.module, nil
	}
	module, err := rewrite.DecodeSplit(d.bin, d.separate)
	if err != nil {
		return nil, refused(err)
	}
	return module, nil
}

func refused(err error) error {
	return &ModuleError{Violations: []string{"is refused: " + err.Error()}, Cause: err}
}

// origin returns info with the mark of a component set as it is for d. Modules that share code may differ in it.
func (d *Decoded) origin(info *Info) *Info {
	if info.Component != d.component {
		marked := *info
		marked.Component = d.component
		return &marked
	}
	return info
}

// World returns the imports and exports of a component, or nil for a core module.
func (d *Decoded) World() *World { return d.world }

// Info returns the imports, exports and declarations of the module.
func (d *Decoded) Info() *Info { return d.info }

// heldBytes returns the memory that d keeps, including the bytes of the module.
func (d *Decoded) heldBytes() int64 {
	held := int64(d.size) + worldBytes(d.world)
	if d.module != nil {
		held += d.module.HeldBytes()
	}
	return held
}

// worldBytes returns the memory of a world. A small module can be in a component with many long names.
func worldBytes(w *World) (held int64) {
	if w == nil {
		return 0
	}
	const header = 16 // of a string
	for _, names := range [][]string{w.Imports, w.Exports} {
		for _, name := range names {
			held += header + int64(len(name))
		}
	}
	return held
}

// Decode is like the function Decode for a module that is to be compiled. A deploy reads a module several times:
// to validate it, perhaps as middleware too, and to prepare it. The engine keeps what it has decoded until Compile
// is called, for a minute at most and within a limit on memory, so that these reads decode the module once. It does not
// read the code of a module if it is known: if an open module has the same, or one that was described.
func (e *Engine) Decode(bin []byte) (*Decoded, error) {
	sum := sha256.Sum256(bin)
	if d := e.decoded.get(sum); d != nil {
		return d, nil
	}
	defer e.timed("a module was read")()
	d, err := decode(bin, sum, e.known)
	if err == nil {
		e.decoded.put(d, time.Now())
	}
	if err != nil || d.module != nil {
		e.decodings.Add(1)
	}
	return d, err
}

// Limits of the modules that wait for their compilation.
const (
	maxDecodedBytes = 64 << 20
	maxDecodedTime  = time.Minute
	maxOutlineTime  = time.Second // of a module with known code: little work is lost. It is gone before the heap is trimmed after a start
)

// decodedModules keeps decoded modules until they are compiled. It has a limit on memory: when it is reached, no
// more modules are kept, and later ones are decoded again. Dropping the oldest instead would, while
// many modules are first validated and then prepared in the same order, always drop the one that is next.
type decodedModules struct {
	limit int64 // immutable; bytes

	mu    sync.Mutex
	kept  map[[sha256.Size]byte]keptModule // guarded by mu
	bytes int64                            // guarded by mu
	timer *time.Timer                      // guarded by mu; drops modules that are not compiled; nil if none are kept
	done  bool                             // guarded by mu; nothing is kept any more
}

type keptModule struct {
	module *Decoded
	bytes  int64
	until  time.Time
}

// get returns the module with this sum, or nil.
func (k *decodedModules) get(sum [sha256.Size]byte) *Decoded {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.kept[sum].module
}

// put keeps a module if there is room for it.
func (k *decodedModules) put(d *Decoded, now time.Time) {
	bytes := d.heldBytes()
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.kept[d.sum]; ok || k.done || k.bytes+bytes > k.limit {
		return
	}
	if k.kept == nil {
		k.kept = make(map[[sha256.Size]byte]keptModule)
	}
	life := maxDecodedTime
	if d.module == nil {
		life = maxOutlineTime
	}
	k.kept[d.sum] = keptModule{d, bytes, now.Add(life)}
	k.bytes += bytes
	switch {
	case k.timer == nil:
		k.timer = time.AfterFunc(life, k.expire)
	case life < maxDecodedTime:
		k.timer.Reset(life) // expire finds the next one
	}
}

// drop forgets a module.
func (k *decodedModules) drop(sum [sha256.Size]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dropLocked(sum)
}

func (k *decodedModules) dropLocked(sum [sha256.Size]byte) {
	k.bytes -= k.kept[sum].bytes
	delete(k.kept, sum)
	if len(k.kept) == 0 && k.timer != nil {
		k.timer.Stop()
		k.timer = nil
	}
}

// expire drops the modules whose time is over.
func (k *decodedModules) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	now, next := time.Now(), time.Time{}
	for sum, m := range k.kept {
		switch {
		case !now.Before(m.until):
			k.dropLocked(sum)
		case next.IsZero() || m.until.Before(next):
			next = m.until
		}
	}
	if !next.IsZero() {
		k.timer.Reset(next.Sub(now))
	}
}

// close drops all modules, and keeps no more.
func (k *decodedModules) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.done = true
	for sum := range k.kept {
		k.dropLocked(sum)
	}
}

// heldBytes returns the memory of the modules that are kept.
func (k *decodedModules) heldBytes() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bytes
}
