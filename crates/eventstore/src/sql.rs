//! The statements that are the same on both databases, and their rows.

use std::sync::Arc;

use uuid::Uuid;

use crate::{Position, RecordedEvent, Revision, event::from_micros};

/// The events as a statement selects them, with the stream's name from the stream's first event.
pub(crate) type Row = (i64, i64, String, i64, Uuid, String, Vec<u8>, Vec<u8>, i64);

pub(crate) fn recorded(row: Row) -> Arc<RecordedEvent> {
    let (position, stream_no, stream, revision, id, kind, data, metadata, created_at) = row;
    Arc::new(RecordedEvent {
        position: Position::from_sql(position),
        stream: stream.into(),
        stream_no: Position::from_sql(stream_no),
        revision: Revision::from_sql(revision),
        id,
        kind: kind.into(),
        data: data.into(),
        metadata: metadata.into(),
        created_at: from_micros(created_at),
    })
}

/// A row of a look: the look's number before the event's columns.
pub(crate) type Looked = (i64, i64, i64, String, i64, Uuid, String, Vec<u8>, Vec<u8>, i64);

pub(crate) fn looked(row: Looked) -> (i64, Arc<RecordedEvent>) {
    let (n, position, stream_no, stream, revision, id, kind, data, metadata, created_at) = row;
    (
        n,
        recorded((
            position, stream_no, stream, revision, id, kind, data, metadata, created_at,
        )),
    )
}

macro_rules! columns {
    () => {
        "e.position, e.stream_no, f.stream, e.revision, e.event_id, e.type, e.data, e.metadata, e.created_at"
    };
}

/// The statements over one name of the table of events. Two of them begin with what the database needs to say before:
/// a common table expression `wanted`, of (name) for `STREAMS` and of (n, name, low, high, last) for `LOOK`.
macro_rules! statements {
    ($events:literal, $streams:literal, $look:literal) => {
        pub(crate) const FORWARDS: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM ",
            $events,
            " e JOIN ",
            $events,
            " f ON f.position = e.stream_no ",
            "WHERE e.position > $1 ORDER BY e.position LIMIT $2"
        );
        pub(crate) const BACKWARDS: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM ",
            $events,
            " e JOIN ",
            $events,
            " f ON f.position = e.stream_no ",
            "WHERE e.position < $1 ORDER BY e.position DESC LIMIT $2"
        );
        pub(crate) const STREAM_FORWARDS: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM ",
            $events,
            " f JOIN ",
            $events,
            " e ON e.stream_no = f.position ",
            "WHERE f.stream = $1 AND f.revision = 0 AND e.revision >= $2 ORDER BY e.revision LIMIT $3"
        );
        pub(crate) const STREAM_BACKWARDS: &str = concat!(
            "SELECT ",
            columns!(),
            " FROM ",
            $events,
            " f JOIN ",
            $events,
            " e ON e.stream_no = f.position ",
            "WHERE f.stream = $1 AND f.revision = 0 AND e.revision <= $2 ORDER BY e.revision DESC LIMIT $3"
        );
        pub(crate) const STREAMS: &str = concat!(
            $streams,
            " SELECT ",
            columns!(),
            " FROM wanted w JOIN ",
            $events,
            " f ON f.stream = w.name AND f.revision = 0 JOIN ",
            $events,
            " e ON e.stream_no = f.position ORDER BY e.stream_no, e.revision"
        );
        pub(crate) const LOOK: &str = concat!(
            $look,
            " SELECT w.n, ",
            columns!(),
            " FROM wanted w JOIN ",
            $events,
            " f ON f.stream = w.name AND f.revision = 0 ",
            "JOIN ",
            $events,
            " e ON e.stream_no = f.position AND e.revision >= w.low AND e.revision < w.high UNION ALL ",
            "SELECT w.n, ",
            columns!(),
            " FROM wanted w JOIN ",
            $events,
            " f ON f.stream = w.name AND f.revision = 0 ",
            "JOIN ",
            $events,
            " e ON e.stream_no = f.position AND (e.revision < w.low OR e.revision >= w.high) ",
            "AND e.revision > (SELECT max(h.revision) FROM ",
            $events,
            " h WHERE h.stream_no = f.position) - w.last ",
            "ORDER BY 1, 5"
        );
    };
}

pub(crate) mod sqlite {
    // The values are written in by the reader.
    statements!("events", "", "");
}

pub(crate) mod postgres {
    statements!(
        "log.events",
        "WITH wanted AS (SELECT name FROM unnest($1::text[]) AS u (name))",
        "WITH wanted AS (SELECT n - 1 AS n, name, low, high, last FROM \
         unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY AS u (name, low, high, last, n))"
    );
}
