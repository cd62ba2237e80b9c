-- `start_v1` as before, in a language whose plans are kept: a function in plain SQL is parsed and planned at each call,
-- which took a third of a small group's time.
CREATE OR REPLACE FUNCTION log.start_v1(
  cursor_position bigint, cursor_id uuid,
  streams text[], sizes int[],
  event_ids uuid[], types text[], datas bytea[], metadatas bytea[],
  OUT before bigint, OUT created_at bigint, OUT stream_nos bigint[], OUT actual bigint[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  SELECT * INTO before, created_at, stream_nos, actual FROM log.append_v1(
    cursor_position, cursor_id, streams, array_fill(-1::bigint, ARRAY[cardinality(streams)]), sizes,
    event_ids, types, datas, metadatas
  );
END $$;
