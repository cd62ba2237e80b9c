-- One row for each unfinished order: when its last event wants to be woken.
CREATE TABLE wakeups (
  order_id BLOB PRIMARY KEY,
  position INTEGER NOT NULL, -- of that event in the log
  wake_at  INTEGER, -- microseconds since 1970; NULL: set aside
  status   TEXT -- NULL: not known
) STRICT, WITHOUT ROWID;

CREATE INDEX wakeups_wake_at ON wakeups (wake_at, order_id) WHERE wake_at IS NOT NULL;
