//! The log in PostgreSQL, shared by the processes of a cluster: one writing connection and two readers in each.

mod commit;
mod connect;
mod lend;
mod read;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::{
    Fault, OpenError, RecordedEvent, Replication,
    backend::{Backend, Committed, Group, Look, Read},
    event::from_micros,
    pools::Pool,
};
pub(crate) use connect::{Use, options, patiently_connect};
pub(crate) use lend::{Connections, Lent, Work};

/// Longer than the server lets a statement run: after it the connection is taken for dead.
const TIMEOUT: Duration = Duration::from_secs(7);

/// The database's clock, in microseconds since 1970.
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

pub(crate) struct Postgres {
    writer: Arc<Connections>,
    readers: Arc<Connections>,
}

impl Postgres {
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        let options = options(url)?;
        let mut first = patiently_connect(&options, Use::Log).await?;
        connect::refuse_unsafe(&mut first).await?;
        let writer = Connections::new(options.clone(), Use::Log, Work::Writing).with(first);
        let readers = Connections::new(options, Use::Log, Work::Reading);
        Ok(Self {
            writer: Arc::new(writer),
            readers: Arc::new(readers),
        })
    }
}

/// Bounds the waiting for an answer.
pub(crate) async fn in_time<T>(answer: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout(TIMEOUT, answer)
        .await
        .unwrap_or_else(|_| Err(Fault::timed_out()))
}

#[async_trait]
impl Backend for Postgres {
    async fn commit(&self, group: &Group<'_>) -> Result<Committed, Fault> {
        let mut writer = self.writer.lend().await?;
        let committed = in_time(commit::commit(&mut writer, group)).await;
        writer.settle(committed)
    }

    async fn look(&self, looks: &[Look<'_>]) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault> {
        let mut writer = self.writer.lend().await?;
        let answers = in_time(read::look(&mut writer, looks)).await;
        writer.settle(answers)
    }

    async fn read(&self, read: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, Fault> {
        let mut reader = self.readers.lend().await?;
        let events = in_time(read::read(&mut reader, read)).await;
        reader.settle(events)
    }

    async fn now(&self) -> Result<OffsetDateTime, Fault> {
        let mut reader = self.readers.lend().await?;
        let now = sqlx::query_scalar(NOW);
        let now = in_time(async { Ok(now.fetch_one(&mut *reader).await?) }).await;
        reader.settle(now).map(from_micros)
    }

    async fn replication(&self) -> Result<Replication, Fault> {
        let mut reader = self.readers.lend().await?;
        let replication = in_time(read::replication(&mut reader)).await;
        reader.settle(replication)
    }

    fn readers(&self) -> Option<Pool> {
        Some(Pool::Postgres(Arc::clone(&self.readers)))
    }

    async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}
