package pgqueue

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/pgstore"
	"github.com/vespo-dev/vespo/services/queues"
)

const (
	maxAttempts = 4                      // of one operation
	pause       = 100 * time.Millisecond // before another attempt
)

// reason is the error that callers see. It matches the cause, but does not have its text.
type reason struct {
	error
	cause error
}

func (r reason) Unwrap() []error { return []error{r.error, r.cause} }

// run makes an operation, which is one statement. It is repeated after a lost answer or connection, so it must have the same
// effect if it is made twice; again reports whether it may have been made before. It does not end with ctx, since a
// statement that is cut off ends its connection, and leaves its effect unknown: the time of an operation is bounded. While the
// engine is away, it fails at once, until keep has reached the engine.
func (s *Store) run(ctx context.Context, operation func(ctx context.Context, again bool) error) error {
	return s.runWithin(ctx, s.cfg.Timeout, operation)
}

// runWithin is run with a time of its own.
func (s *Store) runWithin(ctx context.Context, most time.Duration, operation func(ctx context.Context, again bool) error) error {
	if s.presence.Away() {
		return reason{queues.ErrUnavailable, errAway}
	}
	return s.attempt(context.WithoutCancel(ctx), most, operation)
}

// attempt makes an operation even if the engine is known to be away, within a time.
func (s *Store) attempt(ctx context.Context, most time.Duration, operation func(ctx context.Context, again bool) error) error {
	within, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	again := false
	for attempt := 1; ; attempt++ {
		err := s.ready(within)
		if err == nil {
			err = operation(within, again)
			again = again || uncertain(err)
		}
		switch {
		case err == nil:
			s.presence.Seen(nil)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case !passing(err):
			s.cfg.Log.Error("the engine of the queues refuses an operation", slog.Any("error", err))
			return outcome(err, again)
		case attempt == maxAttempts || within.Err() != nil:
			s.presence.Seen(err)
			return outcome(err, again)
		}
		timer := time.NewTimer(pause * time.Duration(attempt-1)) // a connection of the pool may just have been old
		select {
		case <-timer.C:
		case <-within.Done():
		}
		timer.Stop()
	}
}

// outcome returns the error for callers.
func outcome(err error, again bool) error {
	switch {
	case err == nil:
		return nil
	case again:
		return reason{queues.ErrUncertain, err}
	}
	return reason{queues.ErrUnavailable, err}
}

// uncertain reports whether a statement may have had its effect in spite of the error.
func uncertain(err error) bool {
	var reply *pgconn.PgError
	switch {
	case err == nil:
		return false
	case errors.As(err, &reply): // a commit may have waited for a standby when the engine stopped
		return strings.HasPrefix(reply.Code, "57")
	}
	return !pgconn.SafeToRetry(err) && !errors.Is(err, errNotSent)
}

// passing reports whether another attempt may succeed soon.
func passing(err error) bool {
	var reply *pgconn.PgError
	return !errors.As(err, &reply) || pgstore.Temporary(reply.Code) || reply.Code == codeUnique
}

// codeUnique is the code of a take whose first attempt has ended while the second one was made.
const codeUnique = "23505"

// errAway is the error of operations while the engine is known to be away.
var errAway = errors.New("the engine did not answer the last time")

// errNotSent is matched by errors of connections that were not open yet.
var errNotSent = errors.New("the statement was not sent")

// row runs a statement that returns one row.
func (s *Store) row(ctx context.Context, to []any, statement string, args ...any) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return errors.Join(errNotSent, err)
	}
	defer conn.Release()
	return conn.QueryRow(ctx, s.cfg.InSchema(statement), args...).Scan(to...)
}

// optional is like row, but there may be no row.
func (s *Store) optional(ctx context.Context, to []any, statement string, args ...any) (found bool, err error) {
	err = s.row(ctx, to, statement, args...)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
