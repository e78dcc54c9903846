package queue

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/lease"
	"github.com/vespo-dev/vespo/services/kinds/queue/internal/prack"
)

// job is a request in a line.
type job struct {
	environment []byte        // immutable
	body        budget.Body   // immutable; empty if stored
	stored      string        // immutable; id in the store; empty if the client is waiting
	done        chan struct{} // closed when the job has ended

	entry *lease.Entry // guarded by line.mu
	added time.Time    // guarded by line.mu
	taken time.Time    // guarded by line.mu; last hand-out; zero: none

	// Set before done is closed.
	state  lease.State
	answer *reply // set if answered
}

// reply is the answer of a worker, or an unusable answer.
type reply struct {
	*prack.Answer
	unusable  error          // reason why the answer is unusable
	heldBytes int64          // the owner of the reply must return them to held
	held      budget.Account // account for answers
}

// newID returns an unguessable id.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
