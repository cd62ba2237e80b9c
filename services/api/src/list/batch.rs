//! The next stretch of the log, in which only each order's newest visible event counts.

use std::collections::BTreeMap;

use tiffin_eventstore::{Cursor, Position, RecordedEvent};
use tiffin_order::OrderId;
use tiffin_proto::{DecodeError, public, public_order};

use crate::tables::Row;

/// What an event means to the list; `None` if nobody sees anything of it.
///
/// # Errors
/// What the event shows makes no sense, or is not known to this version.
pub(super) fn row(event: &RecordedEvent) -> Result<Option<Row>, DecodeError> {
    let Some(order) = OrderId::from_stream(event.stream.as_str()) else {
        return Ok(None);
    };
    let Some(public) = public(&event.data) else {
        return Ok(None);
    };
    let shown = public_order(&public, event.created_at)?;
    Ok(shown.map(|(_, details)| Row {
        number: event.stream_no,
        order,
        status: details.status,
        version: details.version,
        created_at: details.created_at,
        updated_at: event.created_at,
        public,
    }))
}

/// Rows that are to be written, and the part of the log that they stand for.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// By number, so that they are written in the order of the index; each with the bytes of the event that it keeps in
    /// memory.
    rows: BTreeMap<Position, (Row, usize)>,
    bytes: usize,
    reached: Cursor,
}

impl Batch {
    /// An empty one that begins after `cursor`.
    pub(super) fn new(cursor: Cursor) -> Self {
        Self {
            rows: BTreeMap::new(),
            bytes: 0,
            reached: cursor,
        }
    }

    /// How many rows it has.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many bytes of events its rows keep in memory.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last event in it.
    pub(super) fn reached(&self) -> Cursor {
        self.reached
    }

    /// Adds the log's next event.
    ///
    /// # Errors
    /// As [`row`]; the event is in the batch, and changes nothing.
    pub(super) fn push(&mut self, event: &RecordedEvent) -> Result<(), DecodeError> {
        self.reached = event.cursor();
        if let Some(row) = row(event)? {
            let bytes = event.data.len();
            let before = self.rows.insert(row.number, (row, bytes));
            self.bytes += bytes;
            self.bytes -= before.map_or(0, |(_, bytes)| bytes);
        }
        Ok(())
    }

    /// Takes the rows out, in the order of their numbers.
    pub(super) fn take(&mut self) -> Vec<Row> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows).into_values();
        rows.map(|(row, _)| row).collect()
    }
}
