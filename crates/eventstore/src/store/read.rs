//! Reading the log.

use std::{collections::HashMap, sync::Arc, time::Duration};

use time::OffsetDateTime;

use super::EventStore;
use crate::{
    Cursor, Direction, Position, ReadError, RecordedEvent, Revision, StreamName,
    backend::Read,
    fault::patiently,
    tail::{self, After},
};

impl EventStore {
    /// Reads a stream from a revision on, in either direction, that revision included. Empty: there is nothing.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn read_stream(
        &self,
        name: &StreamName,
        from: Revision,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        self.read(Read::Stream {
            name,
            from,
            direction,
            limit,
        })
        .await
    }

    /// Reads whole streams in one statement; one answer for each name, in the order asked, empty if there is none.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn read_streams(
        &self,
        names: &[StreamName],
    ) -> Result<Vec<Vec<Arc<RecordedEvent>>>, ReadError> {
        let mut streams: HashMap<StreamName, Vec<_>> =
            names.iter().map(|name| (name.clone(), Vec::new())).collect();
        if streams.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<_> = streams.keys().cloned().collect();
        for event in self.read(Read::Streams { names: &wanted }).await? {
            streams.entry(event.stream.clone()).or_default().push(event);
        }
        Ok(names
            .iter()
            .map(|name| streams.get(name).cloned().unwrap_or_default())
            .collect())
    }

    /// Reads the log from a position on, in either direction, the event at that position left out.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn read_all(
        &self,
        after: Position,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        self.read(Read::All {
            after,
            direction,
            limit,
        })
        .await
    }

    /// Reads what comes after a cursor, from memory if it is there. Empty: nothing is committed after it.
    ///
    /// # Errors
    /// The log does not hold the cursor, or the database does not answer.
    pub async fn read_after(
        &self,
        cursor: Cursor,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        let generation = self.0.tail.generation();
        let events = match self.0.tail.after(cursor, limit) {
            After::Events(events) => return Ok(events),
            After::Replaced => Err(ReadError::LogReplaced),
            After::UpToDate | After::TooOld | After::Ahead => {
                patiently(&self.0.health, || {
                    tail::read_after(&*self.0.backend, cursor, limit)
                })
                .await
            }
        };
        if matches!(events, Err(ReadError::LogReplaced)) {
            self.0.tail.log_replaced(generation).await;
        }
        events
    }

    /// Whether the log holds the cursor, which somebody else may have made up: nothing is concluded from it.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn holds(&self, cursor: Cursor) -> Result<bool, ReadError> {
        match self.0.tail.after(cursor, 1) {
            After::Events(_) | After::UpToDate => Ok(true),
            After::Replaced => Ok(false),
            After::TooOld | After::Ahead => {
                match patiently(&self.0.health, || tail::read_after(&*self.0.backend, cursor, 0)).await {
                    Ok(_) => Ok(true),
                    Err(ReadError::LogReplaced) => Ok(false),
                    Err(error) => Err(error),
                }
            }
        }
    }

    /// The cursor of the log's last event.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn head(&self) -> Result<Cursor, ReadError> {
        patiently(&self.0.health, || async {
            Ok(tail::last_cursor(&*self.0.backend).await?)
        })
        .await
    }

    /// How far whoever has come to a position is behind the log: the number of events after it, and the age of the first
    /// of them.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn behind(&self, position: Position) -> Result<(u64, Duration), ReadError> {
        let oldest = self.read_all(position, Direction::Forwards, 1).await?;
        let Some(oldest) = oldest.first() else {
            return Ok((0, Duration::ZERO));
        };
        let events = self.head().await?.position.0.saturating_sub(position.0);
        let age = Duration::try_from(self.now() - oldest.created_at).unwrap_or_default();
        Ok((events, age))
    }

    /// The cursor after which the events begin that were written at `time` or later: that of the log's last event if there
    /// are none. Found by some 30 reads of one event each.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn before(&self, time: OffsetDateTime) -> Result<Cursor, ReadError> {
        let mut before = Cursor::START;
        let mut end = self.head().await?.position.0 + 1;
        while before.position.0 + 1 < end {
            let middle = before.position.0 + (end - before.position.0) / 2;
            let page = self
                .read_all(Position(middle - 1), Direction::Forwards, 1)
                .await?;
            match page.first() {
                Some(event) if event.created_at < time => before = event.cursor(),
                _ => end = middle,
            }
        }
        Ok(before)
    }

    async fn read(&self, read: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        patiently(&self.0.health, || async { Ok(self.0.backend.read(read).await?) }).await
    }
}
