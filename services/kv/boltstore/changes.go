package boltstore

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/vespo-dev/vespo/services/kv"
)

// transaction is a transaction that writes.
type transaction struct {
	store           *store
	entries, expiry *bbolt.Bucket
	begun, used     kv.Usage // of the store, at the beginning and now
	now             time.Time
	swept           bool // no expired keys remain, or sweepKeys were deleted
}

func (st *store) begin(tx *bbolt.Tx) (*transaction, error) {
	used, err := usageOf(tx)
	if err != nil {
		return nil, err
	}
	return &transaction{
		store:   st,
		entries: tx.Bucket(entriesName),
		expiry:  tx.Bucket(expiryName),
		begun:   used,
		used:    used,
		now:     time.Now(),
	}, nil
}

// step is a change with the record before and after it.
type step struct {
	key           string
	before, after *record // nil: absent. before may have expired
	result        kv.Result
}

// apply makes all changes, or rejects them and makes none.
func (t *transaction) apply(changes []kv.Change) ([]kv.Result, error) {
	steps := make([]step, 0, len(changes))
	for _, c := range changes {
		s, err := t.plan(c)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
	if err := t.fits(steps); err != nil {
		return nil, err
	}
	results := make([]kv.Result, 0, len(steps))
	for _, s := range steps {
		if err := t.make(&s); err != nil {
			return nil, err
		}
		results = append(results, s.result)
	}
	return results, nil
}

// plan returns the step of a change, without its version.
func (t *transaction) plan(c kv.Change) (step, error) {
	s := step{key: c.Key}
	present := record{} // zero if the key is absent
	if raw := t.entries.Get([]byte(c.Key)); raw != nil {
		r, err := decode(c.Key, raw)
		if err != nil && (c.If != nil || c.Op == kv.OpAdd) {
			return s, kv.Reject(kv.ErrConflict, "the stored entry of the key %.100q is damaged: put or delete it without a condition", c.Key)
		}
		if s.before = &r; err == nil && r.present(t.now) {
			present, s.result.Existed = r, true
		}
	}
	if c.If != nil && *c.If != present.version {
		return s, conflict(c, present.version)
	}
	switch c.Op {
	case kv.OpPut:
		s.after = &record{metadata: []byte(c.Metadata), value: c.Value}
		if !c.Expires.IsZero() {
			s.after.expires = max(1, c.Expires.UnixMilli())
		}
	case kv.OpAdd:
		sum, err := add(c, present.value, s.result.Existed)
		if err != nil {
			return s, err
		}
		s.result.Number = sum
		s.after = &record{expires: present.expires, metadata: present.metadata, value: strconv.AppendInt(nil, sum, 10)}
	}
	return s, nil
}

// conflict is the error of a change whose key has another version; 0: it is absent.
func conflict(c kv.Change, has kv.Version) error {
	return kv.Reject(kv.ErrConflict, "the key %.100q has the version %d and not %d", c.Key, has, *c.If)
}

// add returns the sum for a change.
func add(c kv.Change, value []byte, present bool) (int64, error) {
	if !present {
		return c.Delta, nil
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	switch {
	case err != nil:
		return 0, kv.Reject(kv.ErrNotNumber, "the value of the key %.100q is not a decimal number of 64 bits", c.Key)
	case c.Delta > 0 && n > math.MaxInt64-c.Delta || c.Delta < 0 && n < math.MinInt64-c.Delta:
		return 0, kv.Reject(kv.ErrNotNumber, "the sum for the key %.100q exceeds 64 bits", c.Key)
	}
	return n + c.Delta, nil
}

// fits returns an error if the steps exceed a quota. Writes that add nothing always fit.
func (t *transaction) fits(steps []step) error {
	var more kv.Usage
	for _, s := range steps {
		if s.before != nil {
			more.Keys--
			more.Bytes -= s.before.sizeBytes(s.key)
		}
		if s.after != nil {
			more.Keys++
			more.Bytes += s.after.sizeBytes(s.key)
		}
	}
	err := t.exceeded(more)
	if err == nil || t.swept {
		return err
	}
	keep := make(map[string]bool, len(steps))
	for _, s := range steps {
		keep[s.key] = true
	}
	if _, err := t.sweepExcept(keep); err != nil {
		return err
	}
	return t.exceeded(more)
}

// exceeded returns an error if a quota has no room for more.
func (t *transaction) exceeded(more kv.Usage) error {
	l := t.store.all.cfg.Limits
	inAll := func(all, now, begun int64) int64 { return all + now - begun }
	for _, q := range [...]struct {
		more, used, most int64
		what             string
	}{
		{more.Bytes, t.used.Bytes, l.StoreBytes, "bytes of the store"},
		{more.Keys, t.used.Keys, l.StoreKeys, "keys of the store"},
		{more.Bytes, inAll(t.store.all.bytes.Load(), t.used.Bytes, t.begun.Bytes), l.Bytes, "bytes of all stores of the server"},
		{more.Keys, inAll(t.store.all.keys.Load(), t.used.Keys, t.begun.Keys), l.Keys, "keys of all stores of the server"},
	} {
		if q.more > 0 && q.used+q.more > q.most {
			return kv.Reject(kv.ErrFull, "the store %q has no room: %d of %d %s are used", t.store.name, q.used, q.most, q.what)
		}
	}
	return nil
}

// make carries out a step.
func (t *transaction) make(s *step) error {
	if s.before != nil {
		if err := t.remove(s.key, *s.before, s.after == nil); err != nil {
			return err
		}
	}
	if s.after == nil {
		return nil
	}
	version, err := t.entries.NextSequence()
	if err != nil {
		return err
	}
	s.after.version, s.result.Version = kv.Version(version), kv.Version(version)
	if err := t.entries.Put([]byte(s.key), s.after.encode(s.key)); err != nil {
		return err
	}
	t.used.Keys++
	t.used.Bytes += s.after.sizeBytes(s.key)
	if s.after.expires == 0 {
		return nil
	}
	return t.expiry.Put(expiryKey(s.after.expires, s.key), []byte{})
}

// remove removes the traces of a record, and the entry itself unless it is replaced.
func (t *transaction) remove(key string, r record, entry bool) error {
	t.used.Keys--
	t.used.Bytes = max(0, t.used.Bytes-r.sizeBytes(key))
	var errs []error
	if r.expires != 0 {
		errs = append(errs, t.expiry.Delete(expiryKey(r.expires, key)))
	}
	if entry {
		errs = append(errs, t.entries.Delete([]byte(key)))
	}
	return errors.Join(errs...)
}

func (t *transaction) sweep() (deleted int, err error) { return t.sweepExcept(nil) }

// sweepExcept deletes at most sweepKeys expired keys, but not those to keep.
func (t *transaction) sweepExcept(keep map[string]bool) (deleted int, err error) {
	t.swept = true
	var found [][]byte
	c := t.expiry.Cursor()
	for k, _ := c.First(); len(found) < sweepKeys && hasExpired(k, t.now); k, _ = c.Next() {
		if !keep[string(k[8:])] {
			found = append(found, append([]byte(nil), k...))
		}
	}
	for _, k := range found {
		key := string(k[8:])
		if err := t.expiry.Delete(k); err != nil {
			return deleted, err
		}
		raw := t.entries.Get([]byte(key))
		if r, err := decode(key, raw); raw != nil && (err != nil || !r.present(t.now)) {
			if err := t.remove(key, r, true); err != nil {
				return deleted, err
			}
		}
		deleted++
	}
	return deleted, nil
}

// hasExpired reports whether a key of the bucket of expiries is over. It is nil behind the last one.
func hasExpired(k []byte, now time.Time) bool {
	return len(k) >= 8 && int64(binary.BigEndian.Uint64(k)) <= now.UnixMilli()
}
