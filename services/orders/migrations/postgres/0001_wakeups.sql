-- One row for each unfinished order: when its last event wants to be woken.
CREATE TABLE wakeups (
  order_id uuid PRIMARY KEY,
  position bigint NOT NULL, -- of that event in the log
  wake_at  bigint, -- microseconds since 1970; NULL: set aside
  status   text -- NULL: not known
);

CREATE INDEX wakeups_wake_at ON wakeups (wake_at, order_id) WHERE wake_at IS NOT NULL;
