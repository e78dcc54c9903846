package pgqueue

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"time"

	"github.com/vespo-dev/vespo/services/queues"
)

// Put implements queues.Store.
func (s *Store) Put(ctx context.Context, queue string, r queues.Request, b queues.Bounds) error {
	var client *string
	if r.Waits {
		client = &s.host
	}
	var status string
	err := s.run(ctx, func(ctx context.Context, _ bool) error {
		return s.row(ctx, []any{&status}, `SELECT @schema@.queue_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			queue, r.ID, client, r.TTL.Microseconds(), r.Lease.Microseconds(), r.Redeliver, some(r.Environment), some(r.Body),
			sums(r.ID, r.Environment, r.Body), s.cfg.KeepFor.Microseconds(), int64(b.Waiting), b.Bytes)
	})
	if err != nil {
		return err
	}
	if status != "ok" {
		return queues.ErrFull
	}
	s.announce("q", queue)
	return nil
}

// some returns bytes that are not null.
func some(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Take implements queues.Store. Damaged requests are set aside.
func (s *Store) Take(ctx context.Context, queue string) (*queues.Order, error) {
	for {
		o, sum, err := s.take(ctx, queue)
		if err != nil || o == nil || string(sum) == string(sums(o.ID, o.Environment, o.Body)) {
			return o, err
		}
		s.cfg.Log.Error("a stored request is damaged and was set aside", slog.String("prefix", queue), slog.String("id", o.ID))
		if err := s.Answer(ctx, queue, o.LeaseID, queues.Result{State: queues.Damaged}); err != nil && !errors.Is(err, queues.ErrEnded) {
			return nil, err
		}
	}
}

func (s *Store) take(ctx context.Context, queue string) (o *queues.Order, sum []byte, err error) {
	o = &queues.Order{LeaseID: newID()}
	var found, repeated bool
	err = s.run(ctx, func(ctx context.Context, again bool) (err error) {
		repeated = again
		found, err = s.optional(ctx, []any{&o.ID, &sum, &o.Environment, &o.Body}, `SELECT * FROM @schema@.queue_take($1, $2, $3, $4, $5)`,
			queue, o.LeaseID, again, s.cfg.KeepFor.Microseconds(), aliveFor.Microseconds())
		return err
	})
	if errors.Is(err, queues.ErrUncertain) || err == nil && !found && repeated { // an earlier attempt may still lease a request
		s.forgo(lostLease{id: o.LeaseID})
	}
	if err != nil || !found {
		return nil, nil, err
	}
	return o, sum, nil
}

// GiveBack implements queues.Store.
func (s *Store) GiveBack(ctx context.Context, queue, leaseID string) error {
	var had bool
	err := s.run(ctx, func(ctx context.Context, again bool) error {
		var now bool
		err := s.row(ctx, []any{&now}, `SELECT @schema@.queue_give_back($1)`, leaseID)
		had = now || again
		return err
	})
	if err == nil && !had {
		err = queues.ErrEnded
	}
	if err == nil {
		s.announce("q", queue)
	}
	return err
}

// Answer implements queues.Store.
func (s *Store) Answer(ctx context.Context, queue, leaseID string, r queues.Result) error {
	header := []byte{}
	if r.Header != nil {
		var err error
		if header, err = json.Marshal(r.Header); err != nil {
			return fmt.Errorf("encode the header of an answer: %w", err)
		}
	}
	digest := sha256.New()
	fmt.Fprintf(digest, "%s %d %d %s", r.State, r.Status, len(header), header)
	digest.Write(r.Body)
	var id *string
	err := s.run(ctx, func(ctx context.Context, _ bool) error {
		return s.row(ctx, []any{&id}, `SELECT @schema@.queue_answer($1, $2, $3, $4, $5, $6, $7, $8, $9)`, queue, leaseID, string(r.State), r.Status,
			header, some(r.Body), sums(leaseID, header, r.Body), digest.Sum(nil), s.cfg.KeepFor.Microseconds())
	})
	if err == nil && id == nil {
		err = queues.ErrEnded
	}
	if err == nil {
		s.announce("r", *id)
	}
	return err
}

// Result implements queues.Store. Whether a request has failed follows from its times, also before a host has noted it.
func (s *Store) Result(ctx context.Context, queue, id string) (queues.Result, error) {
	var r queues.Result
	var found bool
	var state, lease string
	var header, sum []byte
	var wait *int64
	err := s.run(ctx, func(ctx context.Context, _ bool) (err error) {
		found, err = s.optional(ctx, []any{&state, &r.Status, &header, &r.Body, &sum, &lease, &wait}, `SELECT
			CASE WHEN state = 2 THEN result
				WHEN deadline <= at OR state = 1 AND due <= at AND NOT (redeliver AND deliveries < 5) THEN 'failed' ELSE '' END,
			coalesce(status, 0), CASE WHEN state = 2 THEN coalesce(header, '') ELSE '' END, CASE WHEN state = 2 THEN body ELSE '' END,
			sums, coalesce(lease, ''), taken - accepted
			FROM @schema@.queue_requests, (SELECT @schema@.queue_now() AS at) clock
			WHERE id = $2 AND queue = $1 AND (state < 2 OR due > at)`, queue, id)
		return err
	})
	if err != nil {
		return queues.Result{}, err
	}
	if !found {
		return queues.Result{}, queues.ErrNotFound
	}
	if r.State = queues.State(state); wait != nil {
		r.Taken, r.Wait = true, time.Duration(*wait)*time.Microsecond
	}
	if r.State != queues.Answered {
		return queues.Result{State: r.State, Taken: r.Taken, Wait: r.Wait}, nil
	}
	if string(sum) != string(sums(lease, header, r.Body)) || len(header) > 0 && json.Unmarshal(header, &r.Header) != nil {
		s.cfg.Log.Error("a stored answer is damaged", slog.String("prefix", queue), slog.String("id", id))
		return queues.Result{State: queues.Damaged}, nil
	}
	return r, nil
}

// Leave implements queues.Store.
func (s *Store) Leave(ctx context.Context, queue, id string) error {
	return s.run(ctx, func(ctx context.Context, _ bool) error {
		return s.row(ctx, []any{nil}, `SELECT @schema@.queue_leave($1, $2)`, queue, id)
	})
}

// sums returns the checksums of two values that belong to an id.
func sums(id string, values ...[]byte) (all []byte) {
	table := crc32.MakeTable(crc32.Castagnoli)
	for i, v := range values {
		sum := crc32.Update(crc32.Checksum(fmt.Appendf(nil, "%s %d ", id, i), table), table, v)
		all = binary.BigEndian.AppendUint32(all, sum)
	}
	return all
}
