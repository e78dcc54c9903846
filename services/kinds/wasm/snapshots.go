package wasm

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"

	"github.com/vespo-dev/vespo/runtime/engine"
)

// inputs returns the digest of everything that the guest can read before its snapshot, besides the module. It is zero if that
// cannot be known: files of mounts can change at any time, and so can stores, from which requests that warm the guest up read.
func (v *version) inputs() (sum [sha256.Size]byte) {
	warm := v.doc.Warm != ""
	if len(v.doc.Mount) > 0 || warm && len(v.doc.KV) > 0 || v.forgotten.Load() {
		return sum
	}
	prefix := ""
	if warm { // its requests have it
		prefix = v.key.String()
	}
	return sha256.Sum256(fmt.Appendf(nil, "%q %d %q %s", v.abi.Traits().Name, v.memoryBytes, prefix, v.doc.Encode()))
}

// snapshots counts the versions that use each snapshot on disk. A snapshot is removed with the last version that
// requests are routed to: it may have secrets of that version. The zero snapshots is ready for use.
type snapshots struct {
	mu    sync.Mutex
	users map[engine.SnapshotID]int // guarded by mu
}

func (s *snapshots) use(id engine.SnapshotID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == nil {
		s.users = make(map[engine.SnapshotID]int)
	}
	s.users[id]++
}

// unuse ends a use. It reports whether that was the last one.
func (s *snapshots) unuse(id engine.SnapshotID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users[id]--; s.users[id] > 0 {
		return false
	}
	delete(s.users, id)
	return true
}

// Forget implements services.Forgetter: the snapshot leaves the disk, unless other versions use it.
func (v *version) Forget() {
	v.forgotten.Store(true)
	if !v.leaveSnapshot() {
		return
	}
	if err := v.kind.engine.ForgetSnapshot(v.snapshot); err != nil {
		v.log.Warn("the snapshot of a replaced version could not be removed from disk", slog.Any("error", err))
	}
}

// leaveSnapshot ends the use of the snapshot. It reports whether there was one, without other users.
func (v *version) leaveSnapshot() bool {
	last := false
	v.leave.Do(func() { last = v.snapshot != engine.SnapshotID{} && v.kind.snapshots.unuse(v.snapshot) })
	return last
}
