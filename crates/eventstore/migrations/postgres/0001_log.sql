-- The log. A stream's number is the position of its first event, whose row alone holds the name.
CREATE TABLE log.events (
  position   bigint PRIMARY KEY,
  stream_no  bigint NOT NULL,
  stream     text,
  revision   bigint NOT NULL,
  event_id   uuid NOT NULL,
  type       text NOT NULL,
  data       bytea NOT NULL,
  metadata   bytea NOT NULL,
  created_at bigint NOT NULL, -- microseconds since 1970
  UNIQUE (stream_no, revision),
  CHECK ((revision = 0) = (stream IS NOT NULL)),
  CHECK ((revision = 0) = (stream_no = position))
);

CREATE UNIQUE INDEX events_stream ON log.events (stream) WHERE revision = 0;

-- Events with their stream's name, as they are read.
CREATE VIEW log.recorded_v1 AS
SELECT e.position, e.stream_no, f.stream, e.revision, e.event_id, e.type, e.data, e.metadata, e.created_at
FROM log.events e JOIN log.events f ON f.position = e.stream_no;

CREATE FUNCTION log.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'events are never changed or deleted';
END $$;

CREATE TRIGGER events_never_change BEFORE UPDATE OR DELETE OR TRUNCATE ON log.events
  FOR EACH STATEMENT EXECUTE FUNCTION log.refuse();

-- Appends a group: `streams`, `expected` (-1: no stream) and `sizes` hold one entry for each append and name a stream
-- once; the other arrays hold the events, append after append. An append whose expectation is wrong is left out and
-- harms no other. Returns the position before the group, its time, and for each append the stream's number (0: not
-- written) and the stream's last revision before the group (-1: no stream).
--
-- Once the lock is held every statement sees all that was committed before, because a VOLATILE function takes a
-- snapshot for each of its statements; under REPEATABLE READ it would not, so that is refused. The planner's settings
-- keep a plan that was made while the table was small from reading all of it later.
CREATE FUNCTION log.append_v1(
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
BEGIN
  PERFORM pg_advisory_xact_lock(8388345983984919401);

  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'an append needs the isolation level read committed' USING ERRCODE = 'TF002';
  END IF;
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    RAISE EXCEPTION 'an append needs synchronous_commit = on' USING ERRCODE = 'TF002';
  END IF;

  IF cursor_position > 0 AND NOT EXISTS (
    SELECT FROM log.events e WHERE e.position = cursor_position AND e.event_id = cursor_id
  ) THEN
    RAISE EXCEPTION 'the log does not hold the writer''s cursor' USING ERRCODE = 'TF001';
  END IF;

  SELECT e.position, e.created_at INTO before, created_at FROM log.events e ORDER BY e.position DESC LIMIT 1;
  before := coalesce(before, 0);
  created_at := greatest(created_at, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

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

-- Starts streams and does nothing else: `append_v1` with the expectation "no stream" for all.
CREATE FUNCTION log.start_v1(
  cursor_position bigint, cursor_id uuid,
  streams text[], sizes int[],
  event_ids uuid[], types text[], datas bytea[], metadatas bytea[],
  OUT before bigint, OUT created_at bigint, OUT stream_nos bigint[], OUT actual bigint[]
)
LANGUAGE sql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT * FROM log.append_v1(
    cursor_position, cursor_id, streams, array_fill(-1::bigint, ARRAY[cardinality(streams)]), sizes,
    event_ids, types, datas, metadatas
  )
$$;

-- Looks at streams, for a verdict on appends to them: of each name, `counts` events from the revision in `lows` on, and
-- the newest ones as many as `lasts` says. The limits and the planner's settings make each look a few steps down two
-- indexes, whatever is known about the table.
CREATE FUNCTION log.look_v1(names text[], lows bigint[], counts bigint[], lasts bigint[])
RETURNS TABLE (
  n bigint, "position" bigint, stream_no bigint, stream text, revision bigint,
  event_id uuid, type text, data bytea, metadata bytea, created_at bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT w.n - 1, e.position, e.stream_no, w.name, e.revision, e.event_id, e.type, e.data, e.metadata, e.created_at
  FROM unnest(names, lows, counts, lasts) WITH ORDINALITY AS w (name, low, count, last, n)
  CROSS JOIN LATERAL (
    SELECT f.position FROM log.events f WHERE f.stream = w.name AND f.revision = 0 LIMIT 1
  ) first
  CROSS JOIN LATERAL (
    (SELECT * FROM log.events p WHERE p.stream_no = first.position AND p.revision >= w.low
      ORDER BY p.revision LIMIT w.count)
    UNION ALL
    (SELECT * FROM log.events l WHERE l.stream_no = first.position ORDER BY l.revision DESC LIMIT w.last)
  ) e
  ORDER BY w.n, e.revision;
END $$;

REVOKE ALL ON FUNCTION log.append_v1, log.start_v1, log.look_v1 FROM PUBLIC;
