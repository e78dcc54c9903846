package pgstore

// writeFunction makes a write. quotas are bytes and keys of the store, bytes and keys of all stores, stores, overhead of an
// entry and number of keys to sweep. It returns ok with an element for each change, or why it changed nothing, with
// details. All that can fail comes before the first change.
const writeFunction = `
CREATE FUNCTION @schema@.kv_write(given bigint, the_name text, quotas bigint[], ops int[], the_keys bytea[], ifs bigint[],
  times bigint[], metas bytea[], vals bytea[], deltas bigint[],
  OUT status text, OUT details text[], OUT versions bigint[], OUT existed bool[], OUT numbers bigint[])
LANGUAGE plpgsql AS $$
DECLARE
  micros bigint := @schema@.kv_now(given);
  millis bigint := micros / 1000;
  s record;
  b record;
  created bool := false;
  creates bool := 0 = ANY(ops) OR 2 = ANY(ops);
  more_keys bigint := 0;
  more_bytes bigint := 0;
  last bigint;
  total numeric;
  digits text;
  swept bool := false;
  present bool;
BEGIN
  PERFORM set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
  status := 'ok';
  SELECT * INTO s FROM @schema@.kv_stores WHERE name = the_name FOR UPDATE;
  IF NOT FOUND THEN
    FOR i IN 1..cardinality(ops) LOOP
      IF ifs[i] <> 0 THEN
        status := 'conflict'; details := ARRAY[i::text, '0']; RETURN;
      END IF;
      versions[i] := 0; existed[i] := false; numbers[i] := 0;
    END LOOP;
    IF NOT creates THEN RETURN; END IF;
    LOCK TABLE @schema@.kv_stores IN SHARE ROW EXCLUSIVE MODE; -- creations follow each other
    IF (SELECT count(*) FROM @schema@.kv_stores WHERE name <> the_name) >= quotas[5] THEN
      status := 'stores'; details := ARRAY[quotas[5]::text]; RETURN;
    END IF;
    INSERT INTO @schema@.kv_stores (name, keys, bytes, version) SELECT the_name, 0, 0, f.floor FROM @schema@.kv_format f
      ON CONFLICT (name) DO NOTHING;
    created := FOUND;
    SELECT * INTO s FROM @schema@.kv_stores WHERE name = the_name FOR UPDATE;
  END IF;

  FOR i IN 1..cardinality(ops) LOOP
    SELECT e.version, e.expires, e.metadata, octet_length(e.value) AS length INTO b
      FROM @schema@.kv_entries e WHERE e.store = s.id AND e.key = the_keys[i];
    present := FOUND AND (b.expires = 0 OR b.expires > millis);
    IF FOUND THEN
      more_keys := more_keys - 1;
      more_bytes := more_bytes - octet_length(the_keys[i]) - b.length - octet_length(b.metadata) - quotas[6];
    END IF;
    IF ifs[i] <> (CASE WHEN present THEN b.version ELSE 0 END) THEN
      status := 'conflict'; details := ARRAY[i::text, CASE WHEN present THEN b.version ELSE 0 END::text];
    END IF;
    existed[i] := present; versions[i] := 0; numbers[i] := 0;
    IF status = 'ok' AND ops[i] = 2 THEN
      total := deltas[i];
      times[i] := 0; metas[i] := ''::bytea;
      IF present THEN
        times[i] := b.expires; metas[i] := b.metadata; digits := NULL;
        IF b.length <= 100 THEN
          SELECT encode(e.value, 'escape') INTO digits FROM @schema@.kv_entries e WHERE e.store = s.id AND e.key = the_keys[i];
        END IF;
        IF digits IS NULL OR digits !~ '^[+-]?[0-9]+$' OR abs(digits::numeric + 0.5) > 9223372036854775807.5 THEN
          status := 'text'; details := ARRAY[i::text];
        ELSE
          total := total + digits::numeric;
        END IF;
      END IF;
      IF status = 'ok' AND abs(total + 0.5) > 9223372036854775807.5 THEN
        status := 'sum'; details := ARRAY[i::text];
      ELSIF status = 'ok' THEN
        numbers[i] := total; vals[i] := convert_to(numbers[i]::text, 'UTF8');
      END IF;
    END IF;
    EXIT WHEN status <> 'ok';
    IF ops[i] <> 1 THEN
      more_keys := more_keys + 1;
      more_bytes := more_bytes + octet_length(the_keys[i]) + octet_length(vals[i]) + octet_length(metas[i]) + quotas[6];
    END IF;
  END LOOP;

  WHILE status = 'ok' LOOP
    SELECT 'full', ARRAY[q.used::text, q.most::text, q.what] INTO status, details FROM (
      SELECT sum(a.keys) AS keys, sum(a.bytes) AS bytes FROM @schema@.kv_stores a
    ) t, LATERAL (VALUES
      (more_bytes, s.bytes, quotas[1], 'bytes of the store'), (more_keys, s.keys, quotas[2], 'keys of the store'),
      (more_bytes, t.bytes, quotas[3], 'bytes of all stores'), (more_keys, t.keys, quotas[4], 'keys of all stores')
    ) q(more, used, most, what) WHERE q.more > 0 AND q.used + q.more > q.most LIMIT 1;
    IF NOT FOUND THEN
      status := 'ok'; EXIT;
    END IF;
    EXIT WHEN swept OR @schema@.kv_delete_expired(s.id, millis, quotas[6], quotas[7]::int, the_keys) = 0;
    swept := true; status := 'ok';
    SELECT * INTO s FROM @schema@.kv_stores WHERE name = the_name;
  END LOOP;
  IF status <> 'ok' THEN
    IF created THEN DELETE FROM @schema@.kv_stores WHERE id = s.id; END IF;
    RETURN;
  END IF;

  last := s.version;
  FOR i IN 1..cardinality(ops) LOOP
    IF ops[i] = 1 THEN
      DELETE FROM @schema@.kv_entries e WHERE e.store = s.id AND e.key = the_keys[i];
      CONTINUE;
    END IF;
    last := greatest(last + 1, micros);
    versions[i] := last;
    INSERT INTO @schema@.kv_entries AS e VALUES (s.id, the_keys[i], last, times[i], metas[i], vals[i])
      ON CONFLICT (store, key) DO UPDATE SET version = last, expires = EXCLUDED.expires, metadata = EXCLUDED.metadata, value = EXCLUDED.value;
  END LOOP;
  UPDATE @schema@.kv_stores SET keys = keys + more_keys, bytes = bytes + more_bytes, version = last WHERE id = s.id;
END $$;
`
