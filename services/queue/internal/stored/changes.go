package stored

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// Put stores a request with its body. The error is ErrFull where there is no room.
func (s *Store) Put(prefix string, r Request, body []byte) error {
	if err := s.sweep(r.Accepted); err != nil {
		return err
	}
	k, text := key{prefix, r.ID}, encode(record{Request: r})
	n := int64(len(text) + len(body))
	s.mu.Lock()
	full := s.bytes+n > MaxBytes
	if !full {
		s.bytes += n
		s.known[k] = &size{bytes: n, gone: r.Deadline.Add(KeepFor)}
	}
	s.mu.Unlock()
	if full {
		return ErrFull
	}
	err := s.db.Batch(func(tx *bbolt.Tx) error {
		if err := put(tx, records, k, text); err != nil {
			return err
		}
		return put(tx, bodies, k, body)
	})
	if err != nil {
		s.forget([]key{k})
	}
	return err
}

// Unfinished gives the requests of a prefix that have not ended, in the order of their coming.
func (s *Store) Unfinished(prefix string) (requests []Request, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(prefix))
		if b == nil {
			return nil
		}
		return b.Bucket([]byte(records)).ForEach(func(_, text []byte) error {
			r, err := decode(text)
			if err == nil && r.Result.State == Pending {
				requests = append(requests, r.Request)
			}
			return err
		})
	})
	slices.SortStableFunc(requests, func(a, b Request) int { return a.Accepted.Compare(b.Accepted) })
	return requests, err
}

// Body gives the body of a request.
func (s *Store) Body(prefix, id string) (body []byte, err error) {
	k := key{prefix, id}
	err = s.db.View(func(tx *bbolt.Tx) error {
		if get(tx, records, k) == nil {
			return ErrNotFound
		}
		body = bytes.Clone(get(tx, bodies, k))
		return nil
	})
	return body, err
}

// SetLease stores the lease of a request.
func (s *Store) SetLease(prefix, id string, l Lease) error {
	return s.change(key{prefix, id}, func(r *record) { r.Lease = l }, nil)
}

// Finish stores how a request has ended. The body of the request is forgotten.
func (s *Store) Finish(prefix, id string, result Result) error {
	if err := s.sweep(result.Ended); err != nil {
		return err
	}
	return s.change(key{prefix, id}, func(r *record) { r.Result, r.Lease = result, Lease{} }, result.Body)
}

// Fail stores that a request was not answered in time.
func (s *Store) Fail(prefix, id string, now time.Time) error {
	return s.Finish(prefix, id, Result{State: Failed, Ended: now})
}

// change writes a record anew, and the answer with it if the request has ended by that. What has ended stays as it is.
func (s *Store) change(k key, edit func(*record), answer []byte) error {
	var after record
	var bytes int64
	err := s.db.Batch(func(tx *bbolt.Tx) error {
		text := get(tx, records, k)
		if text == nil {
			return ErrNotFound
		}
		r, err := decode(text)
		if err != nil || r.Result.State != Pending {
			after = r
			return err
		}
		edit(&r)
		after, text = r, encode(r)
		bytes = int64(len(text) + len(get(tx, bodies, k)))
		if r.Result.State != Pending {
			bytes = int64(len(text) + len(answer))
			if err := put(tx, bodies, k, nil); err != nil {
				return err
			}
			if err := put(tx, answers, k, answer); err != nil {
				return err
			}
		}
		return put(tx, records, k, text)
	})
	if err == nil && bytes > 0 {
		s.note(k, &after, bytes)
	}
	return err
}

// note keeps the books after a change.
func (s *Store) note(k key, r *record, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := s.known[k]
	if z == nil { // forgotten meanwhile
		return
	}
	s.bytes += bytes - z.bytes
	z.bytes, z.gone = bytes, r.gone()
	if r.Result.State != Pending && !z.ended {
		z.ended = true
		s.order = append(s.order, k)
	}
}

// Result tells what has become of a request; ErrNotFound if it is not known, or not any more.
func (s *Store) Result(prefix, id string, now time.Time) (result Result, err error) {
	k := key{prefix, id}
	err = s.db.View(func(tx *bbolt.Tx) error {
		text := get(tx, records, k)
		if text == nil {
			return ErrNotFound
		}
		r, err := decode(text)
		switch {
		case err != nil:
			return err
		case !r.gone().After(now):
			return ErrNotFound
		case r.Result.State == Pending && !r.Deadline.After(now):
			r.Result = Result{State: Failed, Ended: r.Deadline}
		}
		result = r.Result
		result.Body = bytes.Clone(get(tx, answers, k))
		return nil
	})
	return result, err
}

// sweep forgets what was kept for long enough, and the oldest results beyond the bound of a prefix, unless that was done a moment ago.
func (s *Store) sweep(now time.Time) error {
	old := s.overdue(now)
	if len(old) == 0 {
		return nil
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for _, k := range old {
			if err := drop(tx, k); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		s.forget(old)
	}
	return err
}

// overdue lists what is to be forgotten.
func (s *Store) overdue(now time.Time) (old []key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := map[string]int{}
	for _, k := range s.order {
		count[k.prefix]++
	}
	for _, k := range s.order {
		if count[k.prefix] <= KeepResults {
			continue
		}
		count[k.prefix]--
		old = append(old, k)
	}
	if now.Sub(s.swept) < sweepEvery {
		return old
	}
	s.swept = now
	for k, z := range s.known {
		if !z.gone.After(now) && !slices.Contains(old, k) {
			old = append(old, k)
		}
	}
	return old
}

// forget takes requests out of the books.
func (s *Store) forget(keys []key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		if z := s.known[k]; z != nil {
			s.bytes -= z.bytes
			delete(s.known, k)
		}
	}
	s.order = slices.DeleteFunc(s.order, func(k key) bool { return s.known[k] == nil })
}

// orderEnded puts what had ended when the file was opened into order.
func (s *Store) orderEnded(ended []record, prefixes map[string]string) {
	slices.SortFunc(ended, func(a, b record) int {
		return cmp.Or(a.Result.Ended.Compare(b.Result.Ended), cmp.Compare(a.ID, b.ID))
	})
	for _, r := range ended {
		s.order = append(s.order, key{prefixes[r.ID], r.ID})
	}
}
