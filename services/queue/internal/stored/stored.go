// Package stored keeps the requests to durable queues whose clients do not wait, and what was answered, in a bbolt file: what a method has
// written is on disk when it returns.
//
// What has ended is kept for a time, and so much of it: see KeepFor and KeepResults. The file does not shrink; what is deleted makes
// room for what comes.
//
// Lock order: mu is not held while the database is used.
package stored

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
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
	sweepEvery = time.Minute
)

// Errors of Put and Result.
var (
	ErrFull     = errors.New("as many bytes are stored as may be")
	ErrNotFound = errors.New("no such request is stored")
	ErrEnded    = errors.New("the request has ended")
	ErrDamaged  = errors.New("the file of stored requests is damaged")
)

// errValue is matched by the errors about one stored request. It is set aside, and the others go on.
var errValue = errors.New("a stored request is damaged")

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
	Damaged  State = "damaged"  // what was stored of it could not be read again
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
	Result    Result  `json:"result"`
	BodySum   *uint32 `json:"body_sum,omitempty"`   // checksum of the body
	AnswerSum *uint32 `json:"answer_sum,omitempty"` // checksum of the answer's body
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
	db     *bbolt.DB    // immutable
	log    *slog.Logger // immutable
	writer writer
	broken atomic.Bool // the file was found damaged while it was used

	mu      sync.Mutex
	damaged map[string]int // guarded by mu: requests that were set aside, by prefix
	known   map[key]*size  // guarded by mu: all that is stored
	bytes   int64          // guarded by mu: of all
	order   []key          // guarded by mu: what has ended, in order
	swept   time.Time      // guarded by mu; zero: never
}

// size is what is known of a request without looking into the file.
type size struct {
	bytes int64
	gone  time.Time // when it is forgotten
	ended bool
}

// Open opens the file, and makes it if need be; the directory is there. Its lock dies with the process.
//
// A file whose structure is damaged is not opened: the error matches ErrDamaged. Single requests that are damaged are set aside.
func Open(path string, now time.Time, log *slog.Logger) (s *Store, err error) {
	err = guarded(func() (err error) {
		s, err = open(path, now, log)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

func open(path string, now time.Time, log *slog.Logger) (*Store, error) {
	if err := checkPages(path); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(path, fileMode, &bbolt.Options{Timeout: openWait, OpenFile: regular.OpenFile})
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, log: log, known: make(map[key]*size), damaged: make(map[string]int), writer: writer{turn: make(chan struct{}, 1)}}
	if err := errors.Join(syncDir(filepath.Dir(path)), s.load(now)); err != nil {
		return nil, errors.Join(err, guarded(db.Close))
	}
	s.sweep(now)
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
func (s *Store) Close() error {
	if s.broken.Load() {
		return nil // its locks may be held for ever by what has panicked; the file's lock ends with the process
	}
	return guarded(s.db.Close)
}

// load finds out what is in the file.
func (s *Store) load(now time.Time) error {
	var ended []record
	bad := map[key]error{}
	prefixes := map[string]string{} // by id of what has ended
	err := s.view(func(tx *bbolt.Tx) error {
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

// over reports whether a request without a result can have none any more: its time has passed, or its only lease has.
func (r *record) over(now time.Time) bool {
	return !r.Deadline.After(now) || r.Lease.ID != "" && !r.Redeliver && !r.Lease.End.After(now)
}

// gone is when the record is forgotten.
func (r *record) gone() time.Time {
	if r.Result.State != Pending {
		return r.Result.Ended.Add(KeepFor)
	}
	return r.Deadline.Add(KeepFor)
}

// get reads one value; it is valid as long as the transaction.
func get(tx *bbolt.Tx, p part, k key) []byte {
	b := tx.Bucket([]byte(k.prefix))
	if b == nil || b.Bucket([]byte(p)) == nil {
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
		if values := b.Bucket([]byte(p)); values != nil {
			failed = errors.Join(failed, values.Delete([]byte(k.id)))
		}
	}
	return failed
}
