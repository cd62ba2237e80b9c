//! Rows, which are the same on both databases.

use std::sync::Arc;

use uuid::Uuid;

use crate::{Position, RecordedEvent, Revision, event::from_micros};

/// A row of the view `recorded_v1`.
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

/// A row of a look: the look's number before the columns of `recorded_v1`.
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
