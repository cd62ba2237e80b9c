-- `append_v1` as before, faster for a group of one append, which is what whoever is alone makes: what judges many streams at
-- a time takes longer to begin than one stream takes to be judged. The cursor is looked for only where it is not the
-- log's last event.
CREATE OR REPLACE FUNCTION log.append_v1(
  cursor_position bigint, cursor_id uuid,
  streams text[], expected bigint[], sizes int[],
  event_ids uuid[], types text[], datas bytea[], metadatas bytea[],
  OUT before bigint, OUT created_at bigint, OUT stream_nos bigint[], OUT actual bigint[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_hashjoin = on
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
  last_id uuid;
  number bigint;
  last bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(8388345983984919401);

  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'an append needs the isolation level read committed' USING ERRCODE = 'TF002';
  END IF;
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    RAISE EXCEPTION 'an append needs synchronous_commit = on' USING ERRCODE = 'TF002';
  END IF;

  SELECT e.position, e.event_id, e.created_at INTO before, last_id, created_at
  FROM log.events e ORDER BY e.position DESC LIMIT 1;
  IF cursor_position > 0 AND (cursor_position, cursor_id) IS DISTINCT FROM (before, last_id) AND NOT EXISTS (
    SELECT FROM log.events e WHERE e.position = cursor_position AND e.event_id = cursor_id
  ) THEN
    RAISE EXCEPTION 'the log does not hold the writer''s cursor' USING ERRCODE = 'TF001';
  END IF;
  before := coalesce(before, 0);
  created_at := greatest(created_at, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

  IF sizes = ARRAY[cardinality(event_ids)] THEN
    SELECT e.position INTO number FROM log.events e WHERE e.stream = streams[1] AND e.revision = 0;
    SELECT e.revision INTO last FROM log.events e WHERE e.stream_no = number ORDER BY e.revision DESC LIMIT 1;
    actual := ARRAY[coalesce(last, -1)];
    IF actual <> expected THEN
      stream_nos := ARRAY[0];
      RETURN;
    END IF;
    number := coalesce(number, before + 1);
    stream_nos := ARRAY[number];
    INSERT INTO log.events (position, stream_no, stream, revision, event_id, type, data, metadata, created_at)
    SELECT before + e.k, number, CASE WHEN expected[1] + e.k = 0 THEN streams[1] END, expected[1] + e.k,
      e.id, e.type, e.data, e.metadata, append_v1.created_at
    FROM unnest(event_ids, types, datas, metadatas) WITH ORDINALITY AS e (id, type, data, metadata, k);
    RETURN;
  END IF;

  WITH found AS (
    SELECT a.n, a.stream, a.expected, a.size, first.position AS stream_no, coalesce(last.revision, -1) AS revision
    FROM unnest(append_v1.streams, append_v1.expected, append_v1.sizes) WITH ORDINALITY AS a (stream, expected, size, n)
    LEFT JOIN LATERAL (
      SELECT e.position FROM log.events e WHERE e.stream = a.stream AND e.revision = 0 LIMIT 1
    ) first ON true
    LEFT JOIN LATERAL (
      SELECT e.revision FROM log.events e WHERE e.stream_no = first.position ORDER BY e.revision DESC LIMIT 1
    ) last ON true
  ), judged AS MATERIALIZED (
    SELECT f.*, f.revision = f.expected AS won,
      sum(f.size) OVER (ORDER BY f.n) - f.size AS skipped,
      append_v1.before + sum(CASE WHEN f.revision = f.expected THEN f.size ELSE 0 END) OVER (ORDER BY f.n) - f.size AS base
    FROM found f
  ), written AS (
    INSERT INTO log.events (position, stream_no, stream, revision, event_id, type, data, metadata, created_at)
    SELECT j.base + i, coalesce(j.stream_no, j.base + 1), CASE WHEN j.expected + i = 0 THEN j.stream END, j.expected + i,
      e.id, e.type, e.data, e.metadata, append_v1.created_at
    FROM judged j
    CROSS JOIN LATERAL generate_series(1, j.size) i
    JOIN unnest(append_v1.event_ids, append_v1.types, append_v1.datas, append_v1.metadatas)
      WITH ORDINALITY AS e (id, type, data, metadata, k) ON e.k = j.skipped + i
    WHERE j.won
    ORDER BY j.base + i
  )
  SELECT array_agg(CASE WHEN j.won THEN coalesce(j.stream_no, j.base + 1) ELSE 0 END ORDER BY j.n),
    array_agg(j.revision ORDER BY j.n)
  INTO stream_nos, actual
  FROM judged j;
END $$;
