-- How far each follower of the log has come. Moved only from where the follower left it, which makes it a fence.
CREATE TABLE checkpoints (
  name     text PRIMARY KEY,
  position bigint NOT NULL,
  event_id uuid NOT NULL,
  note     bytea NOT NULL
);

-- Who works at the moment, so that others need not.
CREATE TABLE leases (
  name       text PRIMARY KEY,
  holder     text NOT NULL,
  expires_at bigint NOT NULL -- microseconds since 1970
);
