package engine

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/vespo-dev/vespo/runtime/internal/rewrite"
)

// maxTypeBytes limits the memory that wazero keeps for function types. Those of a real
// module take some kilobytes, and most modules share them.
const maxTypeBytes = 64 << 20

// typeOverhead is the memory used by wazero and the ledger for a type besides its text.
const typeOverhead = 160

// typeLedger counts the distinct function types of all modules. wazero assigns each a
// number and keeps it until the runtime is closed, even if the module is closed or was
// never valid. The zero typeLedger is ready for use.
type typeLedger struct {
	mu    sync.Mutex
	seen  map[[16]byte]struct{} // guarded by mu; digests of signatures
	bytes int                   // guarded by mu
}

// held returns the number of types, and the memory that they take.
func (l *typeLedger) held() (types int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.seen), int64(l.bytes)
}

// admit records the types of a module before it is loaded. It returns an error if all types
// would take more than limitBytes.
func (l *typeLedger) admit(types []rewrite.Signature, limitBytes int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	added, bytes := map[[16]byte]struct{}{}, 0
	for _, t := range types {
		text := t.String()
		sum := sha256.Sum256([]byte(text))
		key := [16]byte(sum[:])
		if _, ok := l.seen[key]; ok {
			continue
		}
		if _, ok := added[key]; !ok {
			added[key] = struct{}{}
			bytes += len(text) + typeOverhead
		}
	}
	if len(added) > 0 && l.bytes+bytes > limitBytes {
		return &ModuleError{Violations: []string{fmt.Sprintf("has %d function types that no module before it had, with %d KiB: the server keeps the types of "+
			"all modules until it stops, and has room for %d KiB more", len(added), bytes>>10, (limitBytes-l.bytes)>>10)}}
	}
	if l.seen == nil {
		l.seen = make(map[[16]byte]struct{})
	}
	for key := range added {
		l.seen[key] = struct{}{}
	}
	l.bytes += bytes
	return nil
}
