package pgqueue

// formatVersion is that of the tables and functions.
const formatVersion = 1

const tables = `
CREATE SCHEMA IF NOT EXISTS @schema@;
CREATE TABLE @schema@.queue_format (version int NOT NULL);
INSERT INTO @schema@.queue_format VALUES (1);
CREATE TABLE @schema@.queue_hosts (
  id text COLLATE "C" PRIMARY KEY,
  seen bigint NOT NULL
);
CREATE TABLE @schema@.queue_counts (
  queue text COLLATE "C" NOT NULL,
  part int NOT NULL,
  waiting bigint NOT NULL DEFAULT 0,
  stored bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (queue, part)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE TABLE @schema@.queue_requests (
  id text COLLATE "C" PRIMARY KEY,
  seq bigint GENERATED ALWAYS AS IDENTITY,
  queue text COLLATE "C" NOT NULL,
  state smallint NOT NULL DEFAULT 0,
  client text COLLATE "C", -- the host whose client waits
  accepted bigint NOT NULL, -- times are in microseconds
  taken bigint,
  deadline bigint NOT NULL,
  due bigint NOT NULL, -- the deadline, the end of the lease, or when the row is deleted
  lease_time bigint NOT NULL,
  redeliver bool NOT NULL,
  lease text COLLATE "C", -- that of the answer, if it has ended
  deliveries int NOT NULL DEFAULT 0,
  result text,
  status int,
  header bytea,
  digest bytea, -- of the answer
  bytes bigint NOT NULL,
  sums bytea NOT NULL, -- checksums of environment and body, later of header and answer
  environment bytea NOT NULL,
  body bytea NOT NULL -- later the answer
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
ALTER TABLE @schema@.queue_requests ALTER body SET STORAGE EXTERNAL;
CREATE INDEX queue_waiting ON @schema@.queue_requests (queue, seq) WHERE state = 0;
CREATE INDEX queue_due ON @schema@.queue_requests (queue, due) WHERE state < 2;
CREATE INDEX queue_gone ON @schema@.queue_requests (queue, due) WHERE state = 2;
CREATE UNIQUE INDEX queue_lease ON @schema@.queue_requests (lease) WHERE lease IS NOT NULL;
`

const helpers = `
CREATE FUNCTION @schema@.queue_now() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- queue_durable makes the commit wait for the disk, or not.
CREATE FUNCTION @schema@.queue_durable(durable bool) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT durable THEN
    PERFORM set_config('synchronous_commit', 'off', true);
  ELSIF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
END $$;

-- queue_count changes what a queue holds. It must be the last change of a transaction.
CREATE FUNCTION @schema@.queue_count(q text, w bigint, n bigint, b bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  p int;
BEGIN
  IF w = 0 AND n = 0 AND b = 0 THEN RETURN; END IF;
  SELECT c.part INTO p FROM @schema@.queue_counts c WHERE c.queue = q
    ORDER BY (c.part + pg_backend_pid()) % 16 LIMIT 1 FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    INSERT INTO @schema@.queue_counts (queue, part) SELECT q, s FROM generate_series(0, 15) s ON CONFLICT DO NOTHING;
    p := pg_backend_pid() % 16;
  END IF;
  UPDATE @schema@.queue_counts SET waiting = waiting + w, stored = stored + n, bytes = bytes + b WHERE queue = q AND part = p;
END $$;

-- queue_advance ends the leases and requests of a queue that are due, at most "most", but not those that others change. It
-- returns how many waiting requests there are more, and how many bytes.
CREATE FUNCTION @schema@.queue_advance(q text, at bigint, keep bigint, most int, OUT more bigint, OUT size bigint) LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  more := 0; size := 0;
  FOR r IN SELECT id, state, redeliver, deliveries, deadline, client, bytes FROM @schema@.queue_requests WHERE queue = q AND state < 2 AND due <= at
    ORDER BY due LIMIT most FOR UPDATE SKIP LOCKED
  LOOP
    IF r.state = 1 AND r.redeliver AND r.deliveries < 5 AND r.deadline > at THEN
      UPDATE @schema@.queue_requests SET state = 0, lease = NULL, due = deadline WHERE id = r.id;
      more := more + 1;
      CONTINUE;
    END IF;
    UPDATE @schema@.queue_requests SET state = 2, result = 'failed', lease = NULL, environment = '', body = '', bytes = 0,
      due = at + CASE WHEN r.client IS NULL THEN keep ELSE 60000000 END WHERE id = r.id;
    size := size - r.bytes;
    IF r.state = 0 THEN more := more - 1; END IF;
  END LOOP;
END $$;
`

const changes = `
-- queue_put stores a request. It returns ok or full.
CREATE FUNCTION @schema@.queue_put(q text, the_id text, the_client text, ttl bigint, the_lease bigint, again bool, env bytea, content bytea,
  the_sums bytea, keep bigint, most_waiting bigint, most_bytes bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  at bigint := @schema@.queue_now();
  size bigint := octet_length(env) + octet_length(content);
  w bigint;
  b bigint;
  moved record;
BEGIN
  PERFORM @schema@.queue_durable(the_client IS NULL);
  PERFORM FROM @schema@.queue_requests WHERE id = the_id FOR KEY SHARE; -- a lock has the commit wait for standbys, too
  IF FOUND THEN RETURN 'ok'; END IF;
  SELECT coalesce(sum(waiting), 0), coalesce(sum(bytes), 0) INTO w, b FROM @schema@.queue_counts WHERE queue = q;
  IF w + 64 >= most_waiting OR b + size + 67108864 > most_bytes THEN -- so many may be put at the same time
    PERFORM pg_advisory_xact_lock(1986355824, hashtext('@schema@' || q));
    SELECT * INTO moved FROM @schema@.queue_advance(q, at, keep, 1000);
    SELECT coalesce(sum(waiting), 0) + moved.more, coalesce(sum(bytes), 0) + moved.size INTO w, b FROM @schema@.queue_counts WHERE queue = q;
    IF w >= most_waiting OR b + size > most_bytes THEN
      PERFORM @schema@.queue_count(q, moved.more, 0, moved.size);
      RETURN 'full';
    END IF;
    INSERT INTO @schema@.queue_requests (id, queue, client, accepted, deadline, due, lease_time, redeliver, bytes, sums, environment, body)
      VALUES (the_id, q, the_client, at, at + ttl, at + ttl, the_lease, again, size, the_sums, env, content) ON CONFLICT (id) DO NOTHING;
    IF FOUND THEN
      PERFORM @schema@.queue_count(q, moved.more + 1, 1, moved.size + size);
    ELSE -- the first attempt has ended meanwhile
      PERFORM FROM @schema@.queue_requests WHERE id = the_id FOR KEY SHARE;
      PERFORM @schema@.queue_count(q, moved.more, 0, moved.size);
    END IF;
    RETURN 'ok';
  END IF;
  INSERT INTO @schema@.queue_requests (id, queue, client, accepted, deadline, due, lease_time, redeliver, bytes, sums, environment, body)
    VALUES (the_id, q, the_client, at, at + ttl, at + ttl, the_lease, again, size, the_sums, env, content) ON CONFLICT (id) DO NOTHING;
  IF FOUND THEN
    PERFORM @schema@.queue_count(q, 1, 1, size);
  ELSE
    PERFORM FROM @schema@.queue_requests WHERE id = the_id FOR KEY SHARE;
  END IF;
  RETURN 'ok';
END $$;

-- queue_take leases a request, or returns the one that has the lease already. No row: none waits.
CREATE FUNCTION @schema@.queue_take(q text, the_lease text, again bool, keep bigint, alive bigint)
RETURNS TABLE (id text, sums bytea, environment bytea, body bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  at bigint := @schema@.queue_now();
  moved record;
  r record;
BEGIN
  IF again THEN
    PERFORM @schema@.queue_durable(true);
    RETURN QUERY SELECT m.id, m.sums, m.environment, m.body FROM @schema@.queue_requests m WHERE m.lease = the_lease AND m.state = 1
      FOR KEY SHARE; -- as in queue_put
    IF FOUND THEN RETURN; END IF;
  END IF;
  SELECT * INTO moved FROM @schema@.queue_advance(q, at, keep, 100);
  SELECT m.id, m.client, m.redeliver INTO r FROM @schema@.queue_requests m WHERE m.queue = q AND m.state = 0 AND m.due > at
    AND (m.client IS NULL OR EXISTS (SELECT FROM @schema@.queue_hosts h WHERE h.id = m.client AND h.seen > at - alive))
    ORDER BY m.seq LIMIT 1 FOR UPDATE OF m SKIP LOCKED;
  IF NOT FOUND THEN
    PERFORM @schema@.queue_durable(false); -- what is due is so after a crash, too
    PERFORM @schema@.queue_count(q, moved.more, 0, moved.size);
    RETURN;
  END IF;
  PERFORM @schema@.queue_durable(r.client IS NULL OR NOT r.redeliver);
  RETURN QUERY UPDATE @schema@.queue_requests m SET state = 1, lease = the_lease, deliveries = m.deliveries + 1, taken = at,
    due = least(m.deadline, at + m.lease_time) WHERE m.id = r.id RETURNING m.id, m.sums, m.environment, m.body;
  PERFORM @schema@.queue_count(q, moved.more - 1, 0, moved.size);
END $$;

-- queue_give_back undoes a take. It reports whether the lease was there.
CREATE FUNCTION @schema@.queue_give_back(the_lease text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
  q text;
BEGIN
  PERFORM @schema@.queue_durable(true);
  UPDATE @schema@.queue_requests SET state = 0, lease = NULL, deliveries = deliveries - 1, due = deadline
    WHERE lease = the_lease AND state = 1 AND due > @schema@.queue_now() RETURNING queue INTO q;
  IF q IS NULL THEN RETURN false; END IF;
  PERFORM @schema@.queue_count(q, 1, 0, 0);
  RETURN true;
END $$;

-- queue_answer ends a request. It returns its id, or null if the lease has ended.
CREATE FUNCTION @schema@.queue_answer(q text, the_lease text, the_result text, the_status int, the_header bytea, the_answer bytea,
  the_sums bytea, the_digest bytea, keep bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  at bigint := @schema@.queue_now();
  r record;
  size bigint := octet_length(the_header) + octet_length(the_answer);
BEGIN
  SELECT id, queue, state, digest, due, client, bytes INTO r FROM @schema@.queue_requests WHERE lease = the_lease AND (q = '' OR queue = q) FOR UPDATE;
  IF NOT FOUND OR r.state = 2 AND r.digest IS DISTINCT FROM the_digest OR r.state = 1 AND r.due <= at THEN RETURN NULL; END IF;
  PERFORM @schema@.queue_durable(r.client IS NULL);
  IF r.state = 2 THEN RETURN r.id; END IF;
  UPDATE @schema@.queue_requests SET state = 2, result = the_result, status = the_status, header = the_header, digest = the_digest,
    sums = the_sums, environment = '', body = the_answer, bytes = size, due = at + CASE WHEN r.client IS NULL THEN keep ELSE 60000000 END
    WHERE id = r.id;
  PERFORM @schema@.queue_count(r.queue, 0, 0, size - r.bytes);
  RETURN r.id;
END $$;

-- queue_leave deletes a request that has not ended.
CREATE FUNCTION @schema@.queue_leave(q text, the_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  r record;
BEGIN
  SELECT state, client, bytes INTO r FROM @schema@.queue_requests WHERE id = the_id AND queue = q AND state < 2 FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  PERFORM @schema@.queue_durable(r.client IS NULL);
  DELETE FROM @schema@.queue_requests WHERE id = the_id;
  PERFORM @schema@.queue_count(q, CASE WHEN r.state = 0 THEN -1 ELSE 0 END, -1, -r.bytes);
END $$;

-- queue_sweep ends what is due, and deletes old results, those beyond the newest "results" that no client waits for, and requests whose host is gone.
-- It returns the number of rows that it has changed.
CREATE FUNCTION @schema@.queue_sweep(q text, keep bigint, alive bigint, results int, most int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  at bigint := @schema@.queue_now();
  moved record;
  r record;
  w bigint := 0;
  n bigint := 0;
  b bigint := 0;
BEGIN
  PERFORM @schema@.queue_durable(false);
  SELECT * INTO moved FROM @schema@.queue_advance(q, at, keep, most);
  FOR r IN SELECT m.id, m.state, m.bytes FROM @schema@.queue_requests m WHERE m.id = ANY(ARRAY(
      SELECT o.id FROM @schema@.queue_requests o WHERE o.queue = q AND o.state = 2 AND o.due <= at LIMIT most) || ARRAY(
      SELECT o.id FROM @schema@.queue_requests o WHERE o.queue = q AND o.state = 2 AND o.client IS NULL ORDER BY o.due DESC OFFSET results LIMIT most) || ARRAY(
      SELECT o.id FROM @schema@.queue_requests o WHERE o.queue = q AND o.state < 2 AND o.client IS NOT NULL AND NOT EXISTS (
        SELECT FROM @schema@.queue_hosts h WHERE h.id = o.client AND h.seen > at - 6 * alive) LIMIT most))
    FOR UPDATE SKIP LOCKED
  LOOP
    DELETE FROM @schema@.queue_requests WHERE id = r.id;
    n := n + 1; b := b + r.bytes;
    IF r.state = 0 THEN w := w + 1; END IF;
  END LOOP;
  PERFORM @schema@.queue_count(q, moved.more - w, -n, moved.size - b);
  DELETE FROM @schema@.queue_hosts WHERE seen < at - 100 * alive;
  RETURN n;
END $$;
`
