package engine

import (
	"container/list"
	"context"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// codeID identifies the code of a module: the rewrite.CodeID of one whose data is separate, which it shares with modules
// that differ in data alone, and the sum of the whole module for others. No sum of a module is a CodeID.
type codeID [sha256.Size]byte

// knownCode describes code that was checked. It is immutable.
type knownCode struct {
	id         codeID
	decoded    *Info            // of the first of the modules, as decoded
	rewritten  *Info            // as rewritten
	file       codecache.Digest // of the rewritten module; without a cache empty
	stub       []byte           // to load the file with; without a cache nil
	leastBytes int              // smaller modules with this code are refused, so they would be after a restart
	onDisk     bool             // the description was on disk when the code was opened
}

// sharedCode is compiled code, for all open modules that have it.
type sharedCode struct {
	knownCode                       // immutable
	compiled  wazero.CompiledModule // immutable
	sizeBytes int64                 // immutable; of machine code, roughly; of the file if it is mapped
	mapped    []byte                // immutable; machine code, if it is mapped from its file. To be used only by its address: wazero unmaps it
	users     int                   // guarded by codeTable.mu; open modules
	charged   int64                 // guarded by codeTable.mu; the part of sizeBytes that counts
	measured  time.Time             // guarded by codeTable.mu; zero: not yet

	interpreted bool // immutable; the code of one module, in the interpreter
}

// maxKnownBytes limits the memory of descriptions of code that no open module has.
const maxKnownBytes = 4 << 20

// codeTable has the code of all open modules, and descriptions of code that others had, unless they are on disk: with these, code is loaded
// again without reading, rewriting and validating a module. The zero codeTable is ready for use.
type codeTable struct {
	mu    sync.Mutex
	open  map[codeID]*sharedCode   // guarded by mu
	known map[codeID]*list.Element // guarded by mu; not open
	code  int64                    // guarded by mu; bytes of machine code in open, as charged
	maps  int                      // guarded by mu; mapped code in open
	files int64                    // guarded by mu; bytes of the files of mapped code in open
	order list.List                // guarded by mu; of *knownCode in known, least recently closed first
	bytes int64                    // guarded by mu; of known
}

// find returns the description of the code of a module of a size, or nil.
func (t *codeTable) find(id codeID, moduleBytes int) (found *knownCode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.open[id]; c != nil {
		found = &c.knownCode
	} else if e := t.known[id]; e != nil {
		found = e.Value.(*knownCode)
	}
	if found == nil || moduleBytes < found.leastBytes {
		return nil
	}
	return found
}

// acquire returns the open code of a module of a size, or nil. The caller must release it.
func (t *codeTable) acquire(id codeID, moduleBytes int) *sharedCode {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.open[id]
	if c == nil || moduleBytes < c.leastBytes {
		return nil
	}
	c.users++
	return c
}

// add adds code with one user, who must release it.
func (t *codeTable) add(c *sharedCode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.initLocked()
	t.dropLocked(c.id)
	c.users = 1
	t.open[c.id] = c
	t.chargeLocked(c, c.sizeBytes)
	if c.mapped != nil {
		t.maps++
		t.files += c.sizeBytes
	}
}

// mappings returns the number of mapped code that is open.
func (t *codeTable) mappings() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.maps
}

func (t *codeTable) initLocked() {
	if t.open == nil {
		t.open, t.known = make(map[codeID]*sharedCode), make(map[codeID]*list.Element)
	}
}

// release ends a use. The last one closes the code.
func (t *codeTable) release(ctx context.Context, c *sharedCode) error {
	if !t.unuse(c) {
		return nil
	}
	return c.compiled.Close(ctx)
}

// unuse reports whether that was the last use.
func (t *codeTable) unuse(c *sharedCode) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c.users--; c.users > 0 {
		return false
	}
	t.chargeLocked(c, 0)
	if c.mapped != nil {
		t.maps--
		t.files -= c.sizeBytes
	}
	if t.open[c.id] == c {
		delete(t.open, c.id)
		if !c.onDisk {
			t.rememberLocked(c.knownCode)
		}
	}
	return true
}

// remember keeps a description that was read from the disk.
func (t *codeTable) remember(k knownCode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[k.id] == nil {
		t.rememberLocked(k)
	}
}

// rememberLocked keeps a description if the code can be loaded with it. Others make room.
func (t *codeTable) rememberLocked(k knownCode) {
	bytes := k.heldBytes()
	if k.stub == nil || bytes > maxKnownBytes/2 {
		return
	}
	t.initLocked()
	t.dropLocked(k.id)
	for t.bytes+bytes > maxKnownBytes {
		t.dropLocked(t.order.Front().Value.(*knownCode).id)
	}
	t.known[k.id] = t.order.PushBack(&k)
	t.bytes += bytes
}

func (t *codeTable) dropLocked(id codeID) {
	if e := t.known[id]; e != nil {
		t.bytes -= t.order.Remove(e).(*knownCode).heldBytes()
		delete(t.known, id)
	}
}

// heldBytes returns the memory of a description, roughly. The strings of the two Infos are the same.
func (k *knownCode) heldBytes() int64 {
	const entry, global = 64, 40
	info := k.rewritten
	held := len(k.stub) + 2*entry*(len(info.Imports)+len(info.Exports)) + 2*global*len(info.MutableGlobals)
	for _, im := range info.Imports {
		held += len(im.Module) + len(im.Name) + len(im.Signature.Params) + len(im.Signature.Results)
	}
	for _, ex := range info.Exports {
		held += len(ex.Name)
	}
	return int64(held)
}

// size returns the number of codes in memory, and their machine code as charged.
func (t *codeTable) size() (codes int, sizeBytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open), t.code
}

// infoOf returns the description of a module for that of another one with the same code.
func infoOf(separate *rewrite.Separate, other *Info) *Info {
	if separate == nil {
		return other
	}
	return separate.Info(other)
}
