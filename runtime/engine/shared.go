package engine

import (
	"context"
	"crypto/sha256"
	"sync"

	"github.com/tetratelabs/wazero"

	"github.com/vespo-dev/vespo/runtime/internal/codecache"
	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// codeID identifies the code of a module: the rewrite.CodeID of one whose data is separate, which it shares with modules
// that differ in data alone, and the sum of the whole module for others. No sum of a module is a CodeID.
type codeID [sha256.Size]byte

// sharedCode is compiled code with its description, for all open modules that have it.
type sharedCode struct {
	id         codeID                // immutable
	compiled   wazero.CompiledModule // immutable
	decoded    *Info                 // immutable; of the first of the modules, as decoded
	rewritten  *Info                 // immutable; as rewritten
	file       codecache.Digest      // immutable; of the rewritten module
	leastBytes int                   // immutable; smaller modules with this code are refused, so they would be after a restart

	users int // guarded by codeTable.mu; open modules
}

// codeTable has the code of all open modules. The zero codeTable is ready for use.
type codeTable struct {
	mu   sync.Mutex
	open map[codeID]*sharedCode // guarded by mu
}

// find returns the code for a module of a size, or nil. The caller does not become a user of it.
func (t *codeTable) find(id codeID, moduleBytes int) *sharedCode {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.findLocked(id, moduleBytes)
}

func (t *codeTable) findLocked(id codeID, moduleBytes int) *sharedCode {
	if c := t.open[id]; c != nil && moduleBytes >= c.leastBytes {
		return c
	}
	return nil
}

// acquire is find for a user, who must release the code.
func (t *codeTable) acquire(id codeID, moduleBytes int) *sharedCode {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.findLocked(id, moduleBytes)
	if c != nil {
		c.users++
	}
	return c
}

// add adds code with one user, who must release it.
func (t *codeTable) add(c *sharedCode) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(map[codeID]*sharedCode)
	}
	c.users = 1
	t.open[c.id] = c
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
	if t.open[c.id] == c {
		delete(t.open, c.id)
	}
	return true
}

// size returns the number of codes.
func (t *codeTable) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open)
}

// infoOf returns the description of a module for that of another one with the same code.
func infoOf(separate *rewrite.Separate, other *Info) *Info {
	if separate == nil {
		return other
	}
	return separate.Info(other)
}
