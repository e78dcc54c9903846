// Package stored keeps the requests to durable queues whose clients do not wait, and what was answered, in a bbolt file: what a method has
// written is on disk when it returns.
//
// What has ended is kept for a time, and so much of it: see KeepFor and KeepResults. The file does not shrink; what is deleted makes
// room for what comes.
//
// Lock order: mu is not held while the database is used.
package stored

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/internal/regular"
)

// Bounds of what is kept.
const (
	KeepFor     = time.Hour // results, from their end on; requests that nobody took, from their deadline on
	KeepResults = 1000      // results of one prefix
	MaxBytes    = 1 << 30   // requests and results of all, beyond which no request is taken
)

const (
	fileMode   = 0o600
	openWait   = time.Second
	batchDelay = time.Millisecond // that a write waits for others to be written with it
	sweepEvery = time.Minute
)

// Errors of Put and Result.
var (
	ErrFull     = errors.New("as many bytes are stored as may be")
	ErrNotFound = errors.New("no such request is stored")
)

// Request is a request that has been stored, without its body.
type Request struct {
	ID          string        `json:"id"`
	Accepted    time.Time     `json:"accepted"`
	Deadline    time.Time     `json:"deadline"`
	LeaseTime   time.Duration `json:"lease_time"`
	Redeliver   bool          `json:"redeliver,omitempty"`
	Environment []byte        `json:"environment"`
	Lease       Lease         `json:"lease"`
}

// Lease is the current one of a request; one without ID is none.
type Lease struct {
	ID         string    `json:"id,omitempty"`
	End        time.Time `json:"end,omitzero"`
	Deliveries int       `json:"deliveries,omitempty"`
}

// State is what has become of a request.
type State string

// The states.
const (
	Pending  State = ""         // has not ended
	Answered State = "answered" // Status, Header and Body have the answer
	Unusable State = "unusable" // was answered by what is no answer
	Failed   State = "failed"   // was not answered in time
)

// Result is how a request has ended.
type Result struct {
	State  State       `json:"state,omitempty"`
	Ended  time.Time   `json:"ended,omitzero"`
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"-"`
}

// record is the JSON form of what is known of a request.
type record struct {
	Request
	Result Result `json:"result"`
}

// The buckets of a prefix; in each, keys are IDs.
type part string

const (
	records part = "records"
	bodies  part = "bodies"
	answers part = "answers"
)

// key names a request.
type key struct{ prefix, id string }

// Store is the file. It is safe for concurrent use.
type Store struct {
	db *bbolt.DB // immutable

	mu    sync.Mutex
	known map[key]*size // guarded by mu: all that is stored
	bytes int64         // guarded by mu: of all
	order []key         // guarded by mu: what has ended, in order
	swept time.Time     // guarded by mu; zero: never
}

// size is what is known of a request without looking into the file.
type size struct {
	bytes int64
	gone  time.Time // when it is forgotten
	ended bool
}

// Open opens the file, and makes it if need be; the directory is there. Its lock dies with the process.
func Open(path string, now time.Time) (_ *Store, err error) {
	// A file that was cut off is mapped beyond its end, and a damaged one makes bbolt panic: neither shall end the server.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("open %s: it is damaged: %v", path, v)
		}
	}()
	return open(path, now)
}

func open(path string, now time.Time) (*Store, error) {
	db, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: openWait, OpenFile: regular.OpenFile})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.MaxBatchDelay = batchDelay
	s := &Store{db: db, known: make(map[key]*size)}
	if err := errors.Join(syncDir(filepath.Dir(path)), s.load(), s.sweep(now)); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	return s, nil
}

// syncDir makes the name of the file durable. Windows has no such call.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := regular.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Close closes the file. No method may be called afterwards.
func (s *Store) Close() error { return s.db.Close() }

// load finds out what is in the file.
func (s *Store) load() error {
	var ended []record
	prefixes := map[string]string{} // by id of what has ended
	err := s.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(prefix []byte, b *bbolt.Bucket) error {
			return b.Bucket([]byte(records)).ForEach(func(_, text []byte) error {
				r, err := decode(text)
				if err != nil {
					return err
				}
				k := key{string(prefix), r.ID}
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
	return err
}

// gone is when the record is forgotten.
func (r *record) gone() time.Time {
	if r.Result.State != Pending {
		return r.Result.Ended.Add(KeepFor)
	}
	return r.Deadline.Add(KeepFor)
}

func decode(text []byte) (record, error) {
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("a record is damaged: %w", err)
	}
	return r, nil
}

// encode gives the text of a record.
func encode(r record) []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic("stored: a record cannot be encoded: " + err.Error())
	}
	return text
}

// get reads one value; it is valid as long as the transaction.
func get(tx *bbolt.Tx, p part, k key) []byte {
	b := tx.Bucket([]byte(k.prefix))
	if b == nil {
		return nil
	}
	return b.Bucket([]byte(p)).Get([]byte(k.id))
}

// put writes one value.
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

// drop deletes all that belongs to a request.
func drop(tx *bbolt.Tx, k key) error {
	b := tx.Bucket([]byte(k.prefix))
	if b == nil {
		return nil
	}
	var failed error
	for _, p := range [...]part{records, bodies, answers} {
		failed = errors.Join(failed, b.Bucket([]byte(p)).Delete([]byte(k.id)))
	}
	return failed
}
