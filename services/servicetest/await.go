package servicetest

import (
	"sync"
	"time"
)

// HangTimeout bounds every wait of a test for an event.
const HangTimeout = time.Minute

// awaitLocked waits until ready returns true, which a broadcast of changed announces, or until HangTimeout has passed. It
// reports whether ready returned true. The lock of changed is held.
func awaitLocked(changed *sync.Cond, ready func() bool) bool {
	late := false
	timer := time.AfterFunc(HangTimeout, func() {
		changed.L.Lock()
		defer changed.L.Unlock()
		late = true
		changed.Broadcast()
	})
	defer timer.Stop()
	for !ready() {
		if late {
			return false
		}
		changed.Wait()
	}
	return true
}
