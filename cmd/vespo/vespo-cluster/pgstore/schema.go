package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// formatVersion is that of the tables and functions.
const formatVersion = 1

// installLock is the advisory lock of hosts that create the schema.
const installLock = 0x766573706f // vespo

// InSchema puts the name of the schema into a statement, in place of @schema@.
func (c Config) InSchema(statement string) string {
	return strings.ReplaceAll(statement, "@schema@", c.Schema)
}

// ErrFormat is matched if the schema is of a newer version, or the engine does not keep the promises.
var ErrFormat = errors.New("the engine cannot be used")

// Part is what one user of a schema has in it.
type Part struct {
	Format  string // its table with the version of the format
	Version int
	Script  string // creates all of it
}

// install creates the tables and functions, unless they are there.
func (s *Stores) install(ctx context.Context) error {
	return s.cfg.Install(ctx, s.pool, Part{Format: "kv_format", Version: formatVersion, Script: tables + readFunctions + writeFunction})
}

// Install creates a part in the schema, unless it is there. It returns ErrFormat if it is of another version, or if the engine
// answers before its disk has a change.
func (c Config) Install(ctx context.Context, pool *pgxpool.Pool, p Part) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var fsync string
		if err := tx.QueryRow(ctx, "SELECT current_setting('fsync')").Scan(&fsync); err != nil {
			return err
		}
		if fsync != "on" && !c.Relaxed {
			return fmt.Errorf("%w: it answers before its disk has a change, since fsync is %q. Set it to on, or accept the loss by durability=engine", ErrFormat, fsync)
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", int64(installLock)); err != nil {
			return err
		}
		var table *string
		if err := tx.QueryRow(ctx, "SELECT to_regclass($1)::text", c.Schema+"."+p.Format).Scan(&table); err != nil {
			return err
		}
		if table == nil {
			_, err := tx.Exec(ctx, c.InSchema(p.Script), pgx.QueryExecModeSimpleProtocol)
			return err
		}
		var version int
		if err := tx.QueryRow(ctx, c.InSchema("SELECT version FROM @schema@."+p.Format)).Scan(&version); err != nil {
			return err
		}
		if version != p.Version {
			return fmt.Errorf("%w: the schema %s has the format %d, and this version of Vespo knows %d", ErrFormat, c.Schema, version, p.Version)
		}
		return nil
	})
}

const tables = `
CREATE SCHEMA IF NOT EXISTS @schema@;
CREATE TABLE @schema@.kv_format (version int NOT NULL, floor bigint NOT NULL); -- floor: no store begins with an older version
INSERT INTO @schema@.kv_format VALUES (1, 0);
CREATE TABLE @schema@.kv_stores (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  keys bigint NOT NULL,
  bytes bigint NOT NULL,
  version bigint NOT NULL
);
CREATE TABLE @schema@.kv_dropped (id bigint PRIMARY KEY);
CREATE TABLE @schema@.kv_entries (
  store bigint NOT NULL,
  key bytea NOT NULL,
  version bigint NOT NULL,
  expires bigint NOT NULL, -- milliseconds; 0: never
  metadata bytea NOT NULL,
  value bytea NOT NULL,
  PRIMARY KEY (store, key)
);
CREATE INDEX kv_expiry ON @schema@.kv_entries (store, expires) WHERE expires > 0;
`

const readFunctions = `
-- kv_now returns a time in microseconds: the given one, or that of the engine.
CREATE FUNCTION @schema@.kv_now(given bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(given, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
$$;

-- kv_delete_expired deletes at most "most" expired keys of a store, but none that keep has. The caller has locked its row.
CREATE FUNCTION @schema@.kv_delete_expired(the_store bigint, millis bigint, overhead bigint, most int, keep bytea[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
  size bigint;
BEGIN
  WITH gone AS (
    DELETE FROM @schema@.kv_entries WHERE store = the_store AND key = ANY(ARRAY(
      SELECT e.key FROM @schema@.kv_entries e
      WHERE e.store = the_store AND e.expires > 0 AND e.expires <= millis AND e.key <> ALL(keep)
      ORDER BY e.expires LIMIT most))
    RETURNING octet_length(key) + octet_length(value) + octet_length(metadata) + overhead AS bytes
  ) SELECT count(*), coalesce(sum(gone.bytes), 0) INTO n, size FROM gone;
  UPDATE @schema@.kv_stores SET keys = keys - n, bytes = bytes - size WHERE id = the_store AND n > 0;
  RETURN n;
END $$;

-- kv_sweep deletes expired keys of a store. It returns their number.
CREATE FUNCTION @schema@.kv_sweep(given bigint, the_name text, overhead bigint, most int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  the_store bigint;
BEGIN
  SELECT id INTO the_store FROM @schema@.kv_stores WHERE name = the_name FOR UPDATE;
  IF NOT FOUND THEN RETURN 0; END IF;
  RETURN @schema@.kv_delete_expired(the_store, @schema@.kv_now(given) / 1000, overhead, most, ARRAY[]::bytea[]);
END $$;

-- kv_drop deletes a store, whose keys remain until they are swept. It reports whether there was one.
CREATE FUNCTION @schema@.kv_drop(the_name text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
  gone record;
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
  DELETE FROM @schema@.kv_stores WHERE name = the_name RETURNING id, version INTO gone;
  IF NOT FOUND THEN RETURN false; END IF;
  INSERT INTO @schema@.kv_dropped VALUES (gone.id);
  UPDATE @schema@.kv_format SET floor = greatest(floor, gone.version);
  RETURN true;
END $$;
`
