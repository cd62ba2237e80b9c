//! Writing a group: one autocommitted call of a set-based function.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Fault, Position, Revision,
    backend::{Committed, Entry, Fate, Group},
    event::from_micros,
};

const START: &str = "SELECT before, created_at, stream_nos FROM log.start_v1($1, $2, $3, $4, $5, $6, $7, $8)";
const APPEND: &str =
    "SELECT before, created_at, stream_nos FROM log.append_v1($1, $2, $3, $9, $4, $5, $6, $7, $8)";

/// What the functions raise when the log does not hold the cursor.
const LOG_REPLACED: &str = "TF001";

/// A group that only starts streams goes through the function that can do nothing else, so that a process may be
/// given the right to that one alone.
pub(super) async fn commit(connection: &mut PgConnection, group: &Group<'_>) -> Result<Committed, Fault> {
    let starts = group.entries.iter().all(|entry| entry.first == Revision::FIRST);
    let columns = Columns::of(group);
    let mut call = sqlx::query_as::<_, (i64, i64, Vec<i64>)>(if starts { START } else { APPEND })
        .bind(group.cursor.position.to_sql())
        .bind(group.cursor.event_id)
        .bind(&columns.streams)
        .bind(&columns.sizes)
        .bind(&columns.ids)
        .bind(&columns.kinds)
        .bind(&columns.datas)
        .bind(&columns.metadatas);
    if !starts {
        call = call.bind(&columns.expected);
    }
    match call.fetch_one(connection).await.map_err(Fault::from) {
        Ok((before, created_at, stream_nos)) => {
            let fates = stream_nos.into_iter().map(|number| match number {
                0 => Fate::Lost,
                number => Fate::Written {
                    stream_no: Position::from_sql(number),
                },
            });
            let (before, created_at) = (Position::from_sql(before), from_micros(created_at));
            Ok(Committed::Written {
                before,
                created_at,
                fates: fates.collect(),
            })
        }
        Err(fault) if fault.code().as_deref() == Some(LOG_REPLACED) => Ok(Committed::Replaced),
        Err(fault) => Err(fault),
    }
}

/// A group as the functions take it: the first three for each append, the others for each event.
struct Columns<'a> {
    streams: Vec<&'a str>,
    expected: Vec<i64>,
    sizes: Vec<i32>,
    ids: Vec<Uuid>,
    kinds: Vec<&'a str>,
    datas: Vec<&'a [u8]>,
    metadatas: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(group: &Group<'a>) -> Self {
        let entries = || group.entries.iter();
        let events = || entries().flat_map(|entry| entry.events);
        Self {
            streams: entries().map(|entry| entry.stream.as_str()).collect(),
            expected: entries().map(|entry| entry.first.to_sql() - 1).collect(),
            sizes: entries().map(size).collect(),
            ids: events().map(|event| event.id).collect(),
            kinds: events().map(|event| &*event.kind).collect(),
            datas: events().map(|event| &*event.data).collect(),
            metadatas: events().map(|event| &*event.metadata).collect(),
        }
    }
}

/// An append has at most 512 events.
fn size(entry: &Entry<'_>) -> i32 {
    i32::try_from(entry.events.len()).unwrap_or(i32::MAX)
}
