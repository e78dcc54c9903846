package pgstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engine"
	"github.com/vespo-dev/vespo/services/kv"
)

// Stores implements kv.Stores. It is safe for concurrent use.
type Stores struct {
	cfg  Config        // immutable
	pool *pgxpool.Pool // immutable

	installation *Installation    // of the tables
	presence     *engine.Presence // immutable
	counted      engine.Counted
	quit         context.CancelFunc // immutable; ends the sweeps
	swept        sync.WaitGroup     // the goroutine that sweeps
}

var _ kv.Stores = (*Stores)(nil)

// Open connects to the engine. An engine that does not answer does not fail Open: operations fail until it does. One that
// refuses, or whose settings do not keep the promises, does.
func Open(ctx context.Context, cfg Config) (*Stores, error) {
	cfg.Quotas = cfg.Quotas.WithDefaults()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Stores{cfg: cfg, installation: NewInstallation(), presence: engine.NewPresence(cfg.Log, "key-value stores", cfg.String())}
	pool, err := cfg.PoolConfig()
	if err != nil {
		return nil, fmt.Errorf("key-value stores: %w", err)
	}
	sweeping, quit := context.WithCancel(context.WithoutCancel(ctx))
	s.quit = quit
	if s.pool, err = pgxpool.NewWithConfig(sweeping, pool); err != nil {
		quit()
		return nil, fmt.Errorf("key-value stores: %w", err)
	}
	within, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	err = s.ready(within)
	if refused := Refusal(err); refused != nil {
		quit()
		s.pool.Close()
		return nil, fmt.Errorf("key-value stores at %s: %w", cfg, refused)
	}
	s.seen(err)
	s.swept.Go(func() { engine.Keep(sweeping, cfg.Log, s.count, s.sweep) })
	return s, nil
}

// OpenURL is a kv.Opener.
func OpenURL(ctx context.Context, o kv.Options) (kv.Engine, error) {
	cfg, err := Read(o.URL, o.Password)
	if err != nil {
		return nil, err
	}
	cfg.Quotas, cfg.Log = o.Quotas, o.Log
	s, err := Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends all operations and closes all connections. It must be called once.
func (s *Stores) Close() error {
	s.quit()
	s.swept.Wait()
	s.pool.Close()
	return nil
}

// ready creates the tables if they may be missing.
func (s *Stores) ready(ctx context.Context) error { return s.installation.Ready(ctx, s.install) }

// now returns the time for statements, or nil for that of the engine.
func (s *Stores) now() *int64 {
	if s.cfg.Now == nil {
		return nil
	}
	micros := s.cfg.Now().UnixMicro()
	return &micros
}

// Get implements kv.Stores.
func (s *Stores) Get(ctx context.Context, store, key string) (kv.Entry, error) {
	if err := errors.Join(ctx.Err(), kv.CheckName(store), kv.CheckKey(key)); err != nil {
		return kv.Entry{}, err
	}
	entries, _, err := s.entries(ctx, `SELECT key, version, expires, metadata, octet_length(value), value, 1
		FROM @schema@.kv_entries WHERE store = (SELECT id FROM @schema@.kv_stores WHERE name = $1) AND key = $2
		AND (expires = 0 OR expires > @schema@.kv_now($3) / 1000)`, store, []byte(key), s.now())
	if err != nil {
		return kv.Entry{}, err
	}
	if len(entries) == 0 {
		return kv.Entry{}, kv.Reject(kv.ErrNotFound, "the key %.100q is not present", key)
	}
	return entries[0], nil
}

// listStatement returns a page of $5 keys, and with each the number of keys that are left, itself included, up to $5 + 1.
// Values end the page when those before exceed $8 bytes. The lengths of values are known without reading them.
const listStatement = `SELECT key, version, expires, metadata, length, CASE WHEN $6 THEN value ELSE ''::bytea END, total FROM (
	SELECT *, count(*) OVER () AS total, row_number() OVER (ORDER BY key) AS number, coalesce(sum(octet_length(key) +
		octet_length(metadata) + CASE WHEN $6 THEN length ELSE 0 END) OVER (ORDER BY key ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
	FROM (
		SELECT key, version, expires, metadata, value, octet_length(value) AS length FROM @schema@.kv_entries
		WHERE store = (SELECT id FROM @schema@.kv_stores WHERE name = $1) AND key >= $2 AND key > $3 AND ($4::bytea IS NULL OR key < $4)
		AND (expires = 0 OR expires > (SELECT @schema@.kv_now($7) / 1000))
		ORDER BY key LIMIT $5::int + 1
	) found
) page WHERE number <= $5::int AND before <= $8 ORDER BY key`

// List implements kv.Stores.
func (s *Stores) List(ctx context.Context, store string, q kv.Query) (kv.Page, error) {
	if err := errors.Join(ctx.Err(), kv.CheckName(store), q.Check()); err != nil {
		return kv.Page{}, err
	}
	var end []byte
	if q.Prefix != "" { // no byte of UTF-8 is 0xff
		end = []byte(q.Prefix)
		end[len(end)-1]++
	}
	entries, total, err := s.entries(ctx, listStatement,
		store, []byte(q.Prefix), []byte(q.After), end, q.Limit, q.Values, s.now(), kv.MaxPageBytes)
	if err != nil {
		return kv.Page{}, err
	}
	page := kv.Page{Entries: entries}
	if total > len(entries) {
		page.Next = entries[len(entries)-1].Key
	}
	if !q.Values {
		for i := range entries {
			entries[i].Value = nil
		}
	}
	return page, nil
}

// entries runs a statement that only reads. total is the last column.
func (s *Stores) entries(ctx context.Context, statement string, args ...any) (found []kv.Entry, total int, err error) {
	err = s.read(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, s.cfg.InSchema(statement), args...)
		if err != nil {
			return err
		}
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e kv.Entry, err error) {
			var key, metadata, value []byte
			var version, expires, length int64
			if err := row.Scan(&key, &version, &expires, &metadata, &length, &value, &total); err != nil {
				return e, err
			}
			e = kv.Entry{
				Key:       string(key),
				Value:     value,
				Metadata:  string(metadata),
				Version:   kv.Version(version),
				SizeBytes: int64(len(key)+len(metadata)) + length + kv.EntryOverheadBytes,
			}
			if expires != 0 {
				e.Expires = time.UnixMilli(expires)
			}
			return e, nil
		})
		return err
	})
	return found, total, err
}

// All implements kv.Stores.
func (s *Stores) All(ctx context.Context) (all []kv.Info, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = s.read(ctx, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, s.cfg.InSchema(`SELECT name, keys, bytes FROM @schema@.kv_stores ORDER BY name`))
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (info kv.Info, err error) {
			return info, row.Scan(&info.Name, &info.Keys, &info.Bytes)
		})
		return err
	})
	if err == nil {
		s.counted.Note(all)
	}
	return all, err
}

// count reads the totals.
func (s *Stores) count(ctx context.Context) error {
	_, err := s.All(ctx)
	return err
}

// Totals implements kv.Engine. They are up to ten seconds old.
func (s *Stores) Totals() kv.Totals { return s.counted.Totals(s.presence) }

// Drop implements kv.Stores.
func (s *Stores) Drop(ctx context.Context, store string) error {
	if err := errors.Join(ctx.Err(), kv.CheckName(store)); err != nil {
		return err
	}
	var existed bool
	if err := s.write(ctx, store, `SELECT @schema@.kv_drop($1)`, []any{store}, &existed); err != nil {
		return err
	}
	if !existed {
		return kv.Reject(kv.ErrNotFound, "there is no store %q", store)
	}
	return nil
}
