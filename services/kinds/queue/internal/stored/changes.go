package stored

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// Put stores a request with its body. It returns ErrFull if the store is full.
func (s *Store) Put(prefix string, r Request, body []byte) error {
	s.sweep(r.Accepted)
	k := key{prefix, r.ID}
	sum := sumOf(k, bodies, body)
	text := encode(k, record{Request: r, BodySum: &sum})
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
	err := s.file.Update(func(tx *bbolt.Tx) error {
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

// Unfinished returns the unfinished requests of a prefix in order of arrival.
func (s *Store) Unfinished(prefix string) (requests []Request, err error) {
	bad := map[key]error{}
	err = s.file.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(prefix))
		if b == nil || b.Bucket([]byte(records)) == nil {
			return nil
		}
		return b.Bucket([]byte(records)).ForEach(func(id, text []byte) error {
			k := key{prefix, string(id)}
			r, err := decode(k, text)
			switch {
			case err != nil:
				bad[k] = err
			case r.Result.State == Pending:
				requests = append(requests, r.Request)
			}
			return nil
		})
	})
	for k, cause := range bad {
		err = errors.Join(err, s.setAside(k, cause, time.Now()))
	}
	slices.SortStableFunc(requests, func(a, b Request) int { return a.Accepted.Compare(b.Accepted) })
	return requests, err
}

// Body returns the body of a request. If it is damaged, the request has ended, and the error is ErrEnded.
func (s *Store) Body(prefix, id string) (body []byte, err error) {
	k := key{prefix, id}
	err = s.file.View(func(tx *bbolt.Tx) error {
		r, err := stored(tx, k)
		if err == nil {
			body, err = content(tx, k, bodies, r.BodySum)
		}
		return err
	})
	return body, s.settle(k, err, time.Now())
}

// stored reads the record of a request.
func stored(tx *bbolt.Tx, k key) (record, error) {
	text := get(tx, records, k)
	if text == nil {
		return record{}, ErrNotFound
	}
	return decode(k, text)
}

// settle sets a request aside if err says that it is damaged, and then returns ErrEnded.
func (s *Store) settle(k key, err error, now time.Time) error {
	if !errors.Is(err, errValue) {
		return err
	}
	if failed := s.setAside(k, err, now); failed != nil {
		return errors.Join(err, failed)
	}
	return ErrEnded
}

// SetLease stores the lease of a request.
func (s *Store) SetLease(prefix, id string, l Lease) error {
	return s.change(key{prefix, id}, func(r *record) { r.Lease = l }, nil)
}

// Finish stores the result of a request and deletes the request's
// body. It returns ErrEnded if the request has ended already.
func (s *Store) Finish(prefix, id string, result Result) error {
	s.sweep(result.Ended)
	k := key{prefix, id}
	sum := sumOf(k, answers, result.Body)
	return s.change(k, func(r *record) { r.Result, r.Lease, r.BodySum, r.AnswerSum = result, Lease{}, nil, &sum }, result.Body)
}

// Fail stores that a request was not answered in time.
func (s *Store) Fail(prefix, id string, now time.Time) error {
	return s.Finish(prefix, id, Result{State: Failed, Ended: now})
}

// change rewrites a record, and stores the answer if the request
// ends. It returns ErrEnded if the request has ended already.
func (s *Store) change(k key, edit func(*record), answer []byte) error {
	var after record
	var bytes int64
	err := s.file.Update(func(tx *bbolt.Tx) error {
		r, err := stored(tx, k)
		if err != nil {
			return err
		}
		if r.Result.State != Pending {
			return ErrEnded
		}
		edit(&r)
		text := encode(k, r)
		after = r
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
	if err == nil {
		s.note(k, &after, bytes)
	}
	return s.settle(k, err, time.Now())
}

// note updates the accounting after a change.
func (s *Store) note(k key, r *record, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := s.known[k]
	if z == nil { // deleted meanwhile
		return
	}
	s.bytes += bytes - z.bytes
	z.bytes, z.gone = bytes, r.gone()
	if r.Result.State != Pending && !z.ended {
		z.ended = true
		s.order = append(s.order, k)
	}
}

// Result returns the result of a request. It returns ErrNotFound if the request is unknown or was deleted.
func (s *Store) Result(prefix, id string, now time.Time) (result Result, err error) {
	k := key{prefix, id}
	err = s.file.View(func(tx *bbolt.Tx) error {
		r, err := stored(tx, k)
		switch {
		case err != nil:
			return err
		case !r.gone().After(now):
			return ErrNotFound
		case r.Result.State == Pending && r.over(now):
			r.Result = Result{State: Failed, Ended: now}
		}
		result = r.Result
		result.Body, err = content(tx, k, answers, r.AnswerSum)
		return err
	})
	if err = s.settle(k, err, now); errors.Is(err, ErrEnded) {
		return Result{State: Damaged, Ended: now}, nil
	}
	return result, err
}

// sweep deletes expired records, at most once per sweepEvery, and the oldest results of prefixes with more
// than KeepResults. A failed deletion is retried at the next sweep, and does not fail the caller's write.
func (s *Store) sweep(now time.Time) {
	old := s.overdue(now)
	if len(old) == 0 {
		return
	}
	err := s.file.Update(func(tx *bbolt.Tx) error {
		for _, k := range old {
			if err := drop(tx, k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		s.log.Warn("old results of durable queues could not be deleted", slog.Any("error", err))
		return
	}
	s.forget(old)
}

// overdue returns the keys to delete.
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

// forget removes keys from the accounting.
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

// orderEnded initializes order with the requests that had ended before the file was opened.
func (s *Store) orderEnded(ended []record, prefixes map[string]string) {
	slices.SortFunc(ended, func(a, b record) int {
		return cmp.Or(a.Result.Ended.Compare(b.Result.Ended), cmp.Compare(a.ID, b.ID))
	})
	for _, r := range ended {
		s.order = append(s.order, key{prefixes[r.ID], r.ID})
	}
}
