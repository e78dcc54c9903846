package cache

import (
	"context"
	"log/slog"
	"time"
)

// Engine keeps answers for several hosts. Its calls end with their contexts. It logs when it can no longer be used, and when it can be
// again. Keys have at most 100 bytes.
type Engine interface {
	// Read returns the values of keys, and the time of the engine just before it read them. A key that does not exist has no value.
	// Values are cut after limit+1 bytes.
	Read(ctx context.Context, keys []string, limit int) (values [][]byte, at time.Time, err error)
	// Write sets keys, in their order. After an error, it may have set some.
	Write(ctx context.Context, records []Record) error
	// Remove makes removals, in their order. After an error, it may have made some.
	Remove(ctx context.Context, removals []Removal) error
	// Log returns the notices of the removals after a position.
	Log(ctx context.Context, after Position) (Log, error)
	// Close ends all calls. It is called once.
	Close() error
}

// Record is a key to be set.
type Record struct {
	Key   string
	Value []byte
	TTL   time.Duration // 1 ms at least
	New   bool          // only if the key does not exist
}

// Removal makes answers unusable. It is made as a whole.
type Removal struct {
	Mark   string        // key to be set
	Value  []byte        // of Mark
	TTL    time.Duration // of Mark
	Delete []string      // keys to be deleted
	Notice []byte        // to be added to the log; at most maxNotice bytes
}

// Position is a place in the log of removals.
type Position struct {
	Epoch string // differs after the log was lost
	N     int64  // removals since the begin of the log
}

// Log is the end of the log of removals.
type Log struct {
	Position
	At      time.Time // time of the engine
	Notices [][]byte  // in their order
	Lost    bool      // not all notices since the position are known
}

// Options are those of an Opener.
type Options struct {
	URL      string
	Password string // of PasswordVariable; empty: there is none
	Log      *slog.Logger
}

// PasswordVariable is the variable of the environment with the password of an engine.
const PasswordVariable = "VESPO_CACHE_STORE_PASSWORD"

// Opener opens the engine at a URL. One that does not answer is no error: it is used as soon as it does.
type Opener func(ctx context.Context, o Options) (Engine, error)
