package pgqueue

// eventsVersion is the version of each part of the tables and functions of events. They use queue_now and queue_durable of the queues.
const eventsVersion = 1

const eventTables = `
CREATE TABLE @schema@.event_format (version int NOT NULL);
INSERT INTO @schema@.event_format VALUES (1);
CREATE TABLE @schema@.event_counts (
  function text COLLATE "C" NOT NULL,
  part int NOT NULL,
  events bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (function, part)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE @schema@.event_events (
  id text COLLATE "C" PRIMARY KEY,
  seq bigint GENERATED ALWAYS AS IDENTITY,
  function text COLLATE "C" NOT NULL,
  accepted bigint NOT NULL, -- times are in microseconds
  due bigint NOT NULL, -- of the next attempt, or the end of the lease
  lease text COLLATE "C",
  lost int NOT NULL DEFAULT 0, -- leases in a row without a result, the current one included
  attempts int NOT NULL DEFAULT 0,
  throttles int NOT NULL DEFAULT 0,
  final bytea,
  sums bytea NOT NULL, -- checksums of function and content
  content bytea NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
ALTER TABLE @schema@.event_events ALTER content SET STORAGE EXTERNAL;
CREATE INDEX event_due ON @schema@.event_events (due, seq);
CREATE UNIQUE INDEX event_lease ON @schema@.event_events (lease) WHERE lease IS NOT NULL;
CREATE TABLE @schema@.event_damaged ( -- the last hundred
  seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id text COLLATE "C" NOT NULL,
  function text COLLATE "C" NOT NULL,
  content bytea NOT NULL
);
`

const eventFunctions = `
-- event_count changes the counts of a function. It must be the last change of a transaction.
CREATE FUNCTION @schema@.event_count(f text, n bigint, b bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p int;
BEGIN
  SELECT c.part INTO p FROM @schema@.event_counts c WHERE c.function = f
    ORDER BY (c.part + pg_backend_pid()) % 8 LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    INSERT INTO @schema@.event_counts (function, part) SELECT f, s FROM generate_series(0, 7) s ON CONFLICT DO NOTHING;
    p := pg_backend_pid() % 8;
  END IF;
  UPDATE @schema@.event_counts SET events = events + n, bytes = bytes + b WHERE function = f AND part = p;
END $$;

-- event_put stores an event. It returns ok or full. A function may have at most "share" times the part that is left.
CREATE FUNCTION @schema@.event_put(the_id text, f text, the_content bytea, the_sums bytea, most_events bigint, most_bytes bigint, share bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  at bigint := @schema@.queue_now();
  size bigint := octet_length(the_content);
  c record;
BEGIN
  PERFORM @schema@.queue_durable(true);
  PERFORM FROM @schema@.event_events WHERE id = the_id FOR KEY SHARE; -- a lock has the commit wait for standbys, too
  IF FOUND THEN RETURN 'ok'; END IF;
  SELECT coalesce(sum(events), 0) + 1 AS n, coalesce(sum(bytes), 0) + size AS b,
    coalesce(sum(events) FILTER (WHERE function = f), 0) + 1 AS own_n, coalesce(sum(bytes) FILTER (WHERE function = f), 0) + size AS own_b
    INTO c FROM @schema@.event_counts;
  IF c.n > most_events OR c.b > most_bytes OR c.own_n / share > most_events - c.n OR c.own_b / share > most_bytes - c.b THEN
    RETURN 'full';
  END IF;
  INSERT INTO @schema@.event_events (id, function, accepted, due, sums, content) VALUES (the_id, f, at, at, the_sums, the_content)
    ON CONFLICT (id) DO NOTHING;
  IF FOUND THEN
    PERFORM @schema@.event_count(f, 1, size);
  ELSE -- the first attempt has ended meanwhile
    PERFORM FROM @schema@.event_events WHERE id = the_id FOR KEY SHARE;
  END IF;
  RETURN 'ok';
END $$;

-- event_take leases due events, at most one for each given lease, or returns the events of these leases.
CREATE FUNCTION @schema@.event_take(leases text[], again bool, lease_time bigint)
RETURNS TABLE (id text, function text, lease text, age bigint, lost int, attempts int, throttles int, final bytea, sums bytea, content bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  at bigint := @schema@.queue_now();
BEGIN
  PERFORM @schema@.queue_durable(true);
  IF again THEN
    RETURN QUERY SELECT e.id, e.function, e.lease, at - e.accepted, e.lost - 1, e.attempts, e.throttles, e.final, e.sums, e.content
      FROM @schema@.event_events e WHERE e.lease = ANY(leases) FOR KEY SHARE;
    IF FOUND THEN RETURN; END IF;
  END IF;
  RETURN QUERY WITH picked AS MATERIALIZED (
      SELECT p.id FROM @schema@.event_events p WHERE p.due <= at ORDER BY p.due, p.seq LIMIT cardinality(leases) FOR UPDATE SKIP LOCKED
    ), numbered AS (SELECT picked.id, row_number() OVER () AS n FROM picked)
    UPDATE @schema@.event_events e SET lease = leases[numbered.n], due = at + lease_time, lost = e.lost + 1
      FROM numbered WHERE e.id = numbered.id
      RETURNING e.id, e.function, e.lease, at - e.accepted, e.lost - 1, e.attempts, e.throttles, e.final, e.sums, e.content;
END $$;

-- event_renew lets a lease last. It reports whether the lease was there.
CREATE FUNCTION @schema@.event_renew(the_lease text, lease_time bigint) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @schema@.queue_durable(false); -- without it, the lease ends earlier
  UPDATE @schema@.event_events SET due = @schema@.queue_now() + lease_time WHERE lease = the_lease;
  RETURN FOUND;
END $$;

-- event_retry ends a lease. It reports whether the lease was there.
CREATE FUNCTION @schema@.event_retry(the_lease text, after bigint, the_attempts int, the_throttles int, the_final bytea) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  PERFORM @schema@.queue_durable(true);
  UPDATE @schema@.event_events SET lease = NULL, lost = 0, due = @schema@.queue_now() + after,
    attempts = the_attempts, throttles = the_throttles, final = the_final WHERE lease = the_lease;
  RETURN FOUND;
END $$;

-- event_end ends a lease and its event, which is kept for inspection if it is damaged. It reports whether the lease was there.
CREATE FUNCTION @schema@.event_end(the_lease text, damaged bool) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  PERFORM @schema@.queue_durable(true);
  DELETE FROM @schema@.event_events WHERE lease = the_lease RETURNING id, function, content INTO r;
  IF NOT FOUND THEN RETURN false; END IF;
  IF damaged THEN
    INSERT INTO @schema@.event_damaged (id, function, content) VALUES (r.id, r.function, r.content);
    DELETE FROM @schema@.event_damaged WHERE seq NOT IN (SELECT seq FROM @schema@.event_damaged ORDER BY seq DESC LIMIT 100);
  END IF;
  PERFORM @schema@.event_count(r.function, -1, -octet_length(r.content));
  RETURN true;
END $$;
`
