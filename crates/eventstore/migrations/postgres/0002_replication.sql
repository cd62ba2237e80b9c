-- How the server's standbys follow it: how many stream, how far the slowest of them is behind, and how much of the
-- write-ahead log is kept for those that do not. For roles that may not read this themselves; all is NULL where the
-- owner of this function may not either, which membership in pg_read_all_stats allows.
CREATE FUNCTION log.replication_v1(
  OUT synchronous bigint, OUT asynchronous bigint,
  OUT lag_seconds double precision, OUT lag_bytes bigint, OUT retained_bytes bigint
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  here pg_lsn;
BEGIN
  IF NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') THEN
    RETURN;
  END IF;
  here := CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END;
  -- The server tells no lag of a standby that has all.
  SELECT
    count(*) FILTER (WHERE r.sync_state IN ('sync', 'quorum')),
    count(*) FILTER (WHERE r.sync_state NOT IN ('sync', 'quorum')),
    coalesce(extract(epoch FROM max(r.replay_lag)), 0),
    greatest(coalesce(max(pg_wal_lsn_diff(here, r.replay_lsn)), 0), 0)
  INTO synchronous, asynchronous, lag_seconds, lag_bytes
  FROM pg_stat_replication r WHERE r.state = 'streaming';
  SELECT greatest(coalesce(max(pg_wal_lsn_diff(here, s.restart_lsn)), 0), 0) INTO retained_bytes
  FROM pg_replication_slots s;
END $$;

REVOKE ALL ON FUNCTION log.replication_v1 FROM PUBLIC;
