-- How far each follower of the log has come. Moved only from where the follower left it, which makes it a fence.
CREATE TABLE checkpoints (
  name     TEXT PRIMARY KEY,
  position INTEGER NOT NULL,
  event_id BLOB NOT NULL,
  note     BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Who works at the moment, so that others need not.
CREATE TABLE leases (
  name       TEXT PRIMARY KEY,
  holder     TEXT NOT NULL,
  expires_at INTEGER NOT NULL -- microseconds since 1970
) STRICT, WITHOUT ROWID;
