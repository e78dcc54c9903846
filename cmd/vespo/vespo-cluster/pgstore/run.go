package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engine"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
	"github.com/vespo-dev/vespo/services/kv"
)

// maxAttempts is how often a write is made that the engine rolls back because of another one.
const maxAttempts = 5

// Codes of errors of PostgreSQL.
const (
	codePassword      = "28P01"
	codeDiskFull      = "53100"
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeShutdown      = "57P01" // also of a commit that waited for a standby
	codeCrash         = "57P02"
)

// read calls f, again if the first connection was broken.
func (s *Stores) read(ctx context.Context, f func(context.Context) error) error {
	within, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := s.ready(within)
		if err == nil {
			err = f(within)
		}
		var reply *pgconn.PgError
		if err == nil || attempt > 1 || errors.As(err, &reply) && !Temporary(reply.Code) || within.Err() != nil {
			s.seen(err)
			if err != nil {
				err = engine.Unavailable(ctx, err)
			}
			return err
		}
	}
}

// write runs a statement that writes and returns one row. It is repeated only if the engine has rolled it back.
func (s *Stores) write(ctx context.Context, store, statement string, args []any, to ...any) error {
	within, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		sent, err := s.try(within, statement, args, to)
		var reply *pgconn.PgError
		isReply := errors.As(err, &reply)
		switch {
		case isReply && (reply.Code == codeSerialization || reply.Code == codeDeadlock) && attempt < maxAttempts:
			continue
		case isReply && reply.Code == codeDiskFull:
			return kv.Reject(kv.ErrFull, "the disk of the engine is full: the store %q cannot grow", store)
		}
		s.seen(err)
		switch {
		case err == nil:
			return nil
		case sent && (!isReply || reply.Code == codeShutdown || reply.Code == codeCrash):
			return engine.Uncertain(ctx, store)
		}
		return engine.Unavailable(ctx, err)
	}
}

// try runs a statement once. sent reports whether the engine may have got it.
func (s *Stores) try(ctx context.Context, statement string, args, to []any) (sent bool, err error) {
	if err := s.ready(ctx); err != nil {
		return false, err
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Release()
	err = conn.QueryRow(ctx, s.cfg.InSchema(statement), args...).Scan(to...)
	return !pgconn.SafeToRetry(err), err
}

// Temporary reports whether an error of the engine may end soon: of connections, resources, and of an engine that starts,
// stops or is a standby.
func Temporary(code string) bool {
	return len(code) == 5 && (code[:2] == "08" || code[:2] == "53" || code[:2] == "57" || code == "25006" || code == codeSerialization || code == codeDeadlock)
}

// seen takes the outcome of an operation, for the log.
func (s *Stores) seen(err error) {
	if !errors.Is(err, context.Canceled) {
		s.presence.Seen(err)
	}
}

// sweep deletes all expired keys, and those of deleted stores.
func (s *Stores) sweep(ctx context.Context) error {
	all, err := s.All(ctx)
	if err != nil {
		return err
	}
	for _, info := range all {
		for deleted := int64(engine.SweepKeys); deleted == engine.SweepKeys; {
			err := s.write(ctx, info.Name, `SELECT @schema@.kv_sweep($1, $2, $3, $4)`, []any{s.now(), info.Name, kv.EntryOverheadBytes, engine.SweepKeys}, &deleted)
			if err != nil {
				return err
			}
		}
	}
	for deleted := int64(engine.SweepKeys); deleted == engine.SweepKeys; {
		err := s.write(ctx, "", `WITH gone AS (DELETE FROM @schema@.kv_entries WHERE (store, key) IN (
			SELECT e.store, e.key FROM @schema@.kv_entries e JOIN @schema@.kv_dropped d ON d.id = e.store LIMIT $1) RETURNING 1)
			SELECT count(*) FROM gone`, []any{engine.SweepKeys}, &deleted)
		if err != nil {
			return err
		}
	}
	var n int64
	return s.write(ctx, "", `WITH gone AS (DELETE FROM @schema@.kv_dropped d WHERE NOT EXISTS (
		SELECT FROM @schema@.kv_entries e WHERE e.store = d.id) RETURNING 1) SELECT count(*) FROM gone`, nil, &n)
}

// Refusal returns the error of an engine that refuses for good: by its settings, its format, or a role that it does not know.
// It returns nil for errors that may end soon.
func Refusal(err error) error {
	var reply *pgconn.PgError
	switch {
	case errors.Is(err, ErrFormat):
		return err
	case errors.As(err, &reply) && reply.Code == codePassword:
		return fmt.Errorf("%s: set %s, or password_file", reply.Message, engineurl.PasswordVariables)
	case errors.As(err, &reply) && !Temporary(reply.Code):
		return errors.New(reply.Message)
	}
	return nil
}
