package pgqueue

// eventAdditions are functions that hosts of an earlier version do not call, and replaced ones that they may call. Functions
// of eventFunctions stay as they are, since such hosts go on.
const eventAdditions = `
CREATE TABLE @schema@.event_format_2 (version int NOT NULL);
INSERT INTO @schema@.event_format_2 VALUES (1);
ALTER TABLE @schema@.event_events ADD COLUMN service text COLLATE "C" NOT NULL DEFAULT ''; -- empty: of an earlier version

-- event_count changes the counts of a function. It must be the last change of a transaction. event_sweep may delete rows meanwhile.
CREATE OR REPLACE FUNCTION @schema@.event_count(f text, n bigint, b bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p int;
BEGIN
  SELECT c.part INTO p FROM @schema@.event_counts c WHERE c.function = f
    ORDER BY (c.part + pg_backend_pid()) % 8 LIMIT 1 FOR UPDATE SKIP LOCKED;
  INSERT INTO @schema@.event_counts AS c (function, part, events, bytes) VALUES (f, coalesce(p, pg_backend_pid() % 8), n, b)
    ON CONFLICT (function, part) DO UPDATE SET events = c.events + EXCLUDED.events, bytes = c.bytes + EXCLUDED.bytes;
END $$;

-- event_sweep deletes the counts of functions without events, at most of "most" functions. Rows that are deleted sum up to 0, so
-- the counts are right whatever others change. It returns the number of deleted rows.
CREATE FUNCTION @schema@.event_sweep(most int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  f text;
  parts int[];
  n bigint;
  b bigint;
  gone bigint := 0;
BEGIN
  PERFORM @schema@.queue_durable(false); -- what has no events has none after a crash, too
  FOR f IN SELECT c.function FROM @schema@.event_counts c GROUP BY c.function HAVING sum(c.events) = 0 AND sum(c.bytes) = 0 LIMIT most LOOP
    SELECT array_agg(l.part), sum(l.events), sum(l.bytes) INTO parts, n, b FROM (
      SELECT c.part, c.events, c.bytes FROM @schema@.event_counts c WHERE c.function = f FOR UPDATE SKIP LOCKED) l;
    CONTINUE WHEN parts IS NULL OR n <> 0 OR b <> 0;
    DELETE FROM @schema@.event_counts WHERE function = f AND part = ANY(parts);
    gone := gone + cardinality(parts);
  END LOOP;
  RETURN gone;
END $$;

-- event_put stores an event of a service, by the same rules as the function without it.
CREATE FUNCTION @schema@.event_put(the_id text, f text, the_service text, the_content bytea, the_sums bytea, most_events bigint, most_bytes bigint, share bigint)
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
  INSERT INTO @schema@.event_events (id, function, service, accepted, due, sums, content) VALUES (the_id, f, the_service, at, at, the_sums, the_content)
    ON CONFLICT (id) DO NOTHING;
  IF FOUND THEN
    PERFORM @schema@.event_count(f, 1, size);
  ELSE -- the first attempt has ended meanwhile
    PERFORM FROM @schema@.event_events WHERE id = the_id FOR KEY SHARE;
  END IF;
  RETURN 'ok';
END $$;

-- event_take leases due events, at most one for each given lease and of most_bytes together, or returns the events of these leases.
-- Events of services that other hosts run are left to these, unless they are older than max_age or need only a dead letter.
CREATE FUNCTION @schema@.event_take(leases text[], again bool, lease_time bigint, others text[], max_age bigint, most_bytes bigint)
RETURNS TABLE (id text, function text, service text, lease text, age bigint, lost int, attempts int, throttles int, final bytea, sums bytea, content bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  at bigint := @schema@.queue_now();
BEGIN
  PERFORM @schema@.queue_durable(true);
  IF again THEN
    RETURN QUERY SELECT e.id, e.function, e.service, e.lease, at - e.accepted, e.lost - 1, e.attempts, e.throttles, e.final, e.sums, e.content
      FROM @schema@.event_events e WHERE e.lease = ANY(leases) FOR KEY SHARE;
    IF FOUND THEN RETURN; END IF;
  END IF;
  RETURN QUERY WITH picked AS MATERIALIZED (
      SELECT p.id, p.due, p.seq, octet_length(p.content) AS size FROM @schema@.event_events p
        WHERE p.due <= at AND (p.service <> ALL(others) OR p.accepted < at - max_age OR p.final IS NOT NULL)
        ORDER BY p.due, p.seq LIMIT cardinality(leases) FOR UPDATE SKIP LOCKED
    ), numbered AS (SELECT picked.id, row_number() OVER ordered AS n, sum(picked.size) OVER ordered AS total
      FROM picked WINDOW ordered AS (ORDER BY picked.due, picked.seq))
    UPDATE @schema@.event_events e SET lease = leases[numbered.n], due = at + lease_time, lost = e.lost + 1
      FROM numbered WHERE e.id = numbered.id AND (numbered.n = 1 OR numbered.total <= most_bytes)
      RETURNING e.id, e.function, e.service, e.lease, at - e.accepted, e.lost - 1, e.attempts, e.throttles, e.final, e.sums, e.content;
END $$;

-- event_give_back undoes takes. It returns the number of events.
CREATE FUNCTION @schema@.event_give_back(leases text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  n bigint;
BEGIN
  PERFORM @schema@.queue_durable(true);
  UPDATE @schema@.event_events SET lease = NULL, lost = lost - 1, due = @schema@.queue_now() WHERE lease = ANY(leases);
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN n;
END $$;
`
