-- The log. A stream's number is the position of its first event, whose row alone holds the name.
CREATE TABLE events (
  position   INTEGER PRIMARY KEY,
  stream_no  INTEGER NOT NULL,
  stream     TEXT,
  revision   INTEGER NOT NULL,
  event_id   BLOB NOT NULL,
  type       TEXT NOT NULL,
  data       BLOB NOT NULL,
  metadata   BLOB NOT NULL,
  created_at INTEGER NOT NULL, -- microseconds since 1970
  UNIQUE (stream_no, revision),
  CHECK ((revision = 0) = (stream IS NOT NULL)),
  CHECK ((revision = 0) = (stream_no = position))
) STRICT;

CREATE UNIQUE INDEX events_stream ON events (stream) WHERE revision = 0;

CREATE TRIGGER events_never_change BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;

CREATE TRIGGER events_never_go BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;

-- Events with their stream's name, as they are read.
CREATE VIEW recorded_v1 AS
SELECT e.position, e.stream_no, f.stream, e.revision, e.event_id, e.type, e.data, e.metadata, e.created_at
FROM events e JOIN events f ON f.position = e.stream_no;
