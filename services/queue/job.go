package queue

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"github.com/vespo-dev/vespo/services/internal/budget"
	"github.com/vespo-dev/vespo/services/queue/internal/lease"
	"github.com/vespo-dev/vespo/services/queue/internal/prack"
)

// job is a request in a line.
type job struct {
	environment []byte        // immutable
	body        budget.Body   // immutable; empty if it is stored
	stored      string        // immutable; where it is in the store; empty if a client waits for it
	done        chan struct{} // closed when it has ended

	entry *lease.Entry // guarded by line.mu
	added time.Time    // guarded by line.mu
	taken time.Time    // guarded by line.mu; when it was handed out last; zero if it was not

	// Written before done is closed.
	state  lease.State
	answer *reply // of an answered one
}

// reply is what a worker has said: an answer, or something that is none.
type reply struct {
	*prack.Answer
	unusable  error          // why there is no answer
	heldBytes int64          // to be given back to held by the owner of the reply
	held      budget.Account // of answers
}

// newID gives what nobody guesses.
func newID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}
