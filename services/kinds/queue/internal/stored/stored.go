// Package stored keeps the asynchronous requests to durable queues and their
// results in a bbolt file. When a method returns, its changes are on disk.
//
// Results are kept for a limited time and in limited number: see KeepFor and
// KeepResults. The file does not shrink, but the space of deleted records is reused.
//
// Lock order: mu is not held while the database is used.
package stored

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/internal/boltfile"
	"github.com/vespo-dev/vespo/services/queues"
)

// Limits of the store.
const (
	KeepFor     = time.Hour // results, from their end; unanswered requests, from their deadline
	KeepResults = 1000      // per prefix
	MaxBytes    = 1 << 30   // of all requests and results; beyond it requests are refused
)

const sweepEvery = time.Minute

// Errors of the methods of Store.
var (
	ErrFull     = errors.New("as many bytes are stored as may be")
	ErrNotFound = errors.New("no such request is stored")
	ErrEnded    = errors.New("the request has ended")
	ErrDamaged  = boltfile.ErrDamaged
)

// errValue is matched by errors about a single damaged request.
// The request is set aside and the store remains usable.
var errValue = errors.New("a stored request is damaged")

// Request is a stored request, without its body.
type Request struct {
	ID          string        `json:"id"`
	Accepted    time.Time     `json:"accepted"`
	Deadline    time.Time     `json:"deadline"`
	LeaseTime   time.Duration `json:"lease_time"`
	Redeliver   bool          `json:"redeliver,omitempty"`
	Environment []byte        `json:"environment"`
	Lease       Lease         `json:"lease"`
}

// Lease is the current lease of a request. An empty ID means that there is none.
type Lease struct {
	ID         string    `json:"id,omitempty"`
	End        time.Time `json:"end,omitzero"`
	Deliveries int       `json:"deliveries,omitempty"`
}

// State is the state of a request.
type State = queues.State

// States of a request.
const (
	Pending  = queues.Pending
	Answered = queues.Answered
	Unusable = queues.Unusable
	Failed   = queues.Failed
	Damaged  = queues.Damaged
)

// Result is the result of a request.
type Result struct {
	State  State       `json:"state,omitempty"`
	Ended  time.Time   `json:"ended,omitzero"`
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"-"`
}

// record is the stored JSON of a request.
type record struct {
	Request
	Result    Result  `json:"result"`
	BodySum   *uint32 `json:"body_sum,omitempty"`   // checksum of the body
	AnswerSum *uint32 `json:"answer_sum,omitempty"` // checksum of the answer's body
}

// part is a bucket of a prefix. Its keys are request ids.
type part string

const (
	records part = "records"
	bodies  part = "bodies"
	answers part = "answers"
)

// key identifies a request.
type key struct{ prefix, id string }

// Store is an open file. It is safe for concurrent use.
type Store struct {
	file *boltfile.File // immutable
	log  *slog.Logger   // immutable

	mu      sync.Mutex
	damaged map[string]int // guarded by mu: number of requests set aside, by prefix
	known   map[key]*size  // guarded by mu: all stored requests
	bytes   int64          // guarded by mu: total size
	order   []key          // guarded by mu: ended requests, oldest first
	swept   time.Time      // guarded by mu; zero: never
}

// Stats is a snapshot of a store.
type Stats struct {
	Requests int   // stored, including ended ones whose result is kept
	Bytes    int64 // their size
	Damaged  int   // requests set aside since Open
	Broken   bool  // the file was found damaged while in use
}

// Stats returns the current state. It does not read the file.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := Stats{Requests: len(s.known), Bytes: s.bytes, Broken: s.file.Broken()}
	for _, damaged := range s.damaged {
		stats.Damaged += damaged
	}
	return stats
}

// size holds the accounting of a request, so that no read of the file is needed.
type size struct {
	bytes int64
	gone  time.Time // when it is deleted
	ended bool
}

// Open opens the file and creates it if necessary. Its directory must exist.
// The operating system releases the file's lock when the process ends.
//
// A file with a damaged structure is not opened: the error
// matches ErrDamaged. Single damaged requests are set aside.
func Open(path string, now time.Time, log *slog.Logger) (*Store, error) {
	file, err := boltfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s := &Store{file: file, log: log, known: make(map[key]*size), damaged: make(map[string]int)}
	if err := s.load(now); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, errors.Join(err, boltfile.Guarded(file.DB.Close)))
	}
	s.sweep(now)
	return s, nil
}

// Close closes the file. No method may be called afterwards.
func (s *Store) Close() error { return s.file.Close() }

// formatVersion is the version of the file's format.
const formatVersion = 1

// load initializes the accounting from the file.
func (s *Store) load(now time.Time) error {
	var ended []record
	bad := map[key]error{}
	prefixes := map[string]string{} // by id, of ended requests
	err := s.file.View(func(tx *bbolt.Tx) error {
		if err := boltfile.CheckFormat(tx, formatVersion); err != nil {
			return err
		}
		return tx.ForEach(func(prefix []byte, b *bbolt.Bucket) error {
			if string(prefix) == asideName || b == nil || b.Bucket([]byte(records)) == nil {
				return nil
			}
			return b.Bucket([]byte(records)).ForEach(func(id, text []byte) error {
				k := key{string(prefix), string(id)}
				r, err := decode(k, text)
				if err != nil {
					bad[k] = err
					return nil
				}
				n := int64(len(text) + len(get(tx, bodies, k)) + len(get(tx, answers, k)))
				s.known[k] = &size{bytes: n, gone: r.gone(), ended: r.Result.State != Pending}
				s.bytes += n
				if r.Result.State != Pending {
					ended, prefixes[r.ID] = append(ended, r), string(prefix)
				}
				return nil
			})
		})
	})
	s.orderEnded(ended, prefixes)
	for k, cause := range bad {
		err = errors.Join(err, s.setAside(k, cause, now))
	}
	return err
}

// over reports whether a pending request can no longer be
// answered: its deadline has passed, or its only lease has ended.
func (r *record) over(now time.Time) bool {
	return !r.Deadline.After(now) || r.Lease.ID != "" && !r.Redeliver && !r.Lease.End.After(now)
}

// gone returns when the record is deleted.
func (r *record) gone() time.Time {
	if r.Result.State != Pending {
		return r.Result.Ended.Add(KeepFor)
	}
	return r.Deadline.Add(KeepFor)
}

// get returns a value, or nil. It is valid during the transaction.
func get(tx *bbolt.Tx, p part, k key) []byte {
	b := tx.Bucket([]byte(k.prefix))
	if b == nil || b.Bucket([]byte(p)) == nil {
		return nil
	}
	return b.Bucket([]byte(p)).Get([]byte(k.id))
}

// put writes a value.
func put(tx *bbolt.Tx, p part, k key, value []byte) error {
	b, err := tx.CreateBucketIfNotExists([]byte(k.prefix))
	if err != nil {
		return err
	}
	for _, p := range [...]part{records, bodies, answers} {
		if _, err := b.CreateBucketIfNotExists([]byte(p)); err != nil {
			return err
		}
	}
	return b.Bucket([]byte(p)).Put([]byte(k.id), value)
}

// drop deletes all values of a request.
func drop(tx *bbolt.Tx, k key) error {
	b := tx.Bucket([]byte(k.prefix))
	if b == nil {
		return nil
	}
	var failed error
	for _, p := range [...]part{records, bodies, answers} {
		if values := b.Bucket([]byte(p)); values != nil {
			failed = errors.Join(failed, values.Delete([]byte(k.id)))
		}
	}
	return failed
}
