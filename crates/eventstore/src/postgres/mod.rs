//! The log in PostgreSQL, shared by the processes of a cluster: one writing connection and two readers in each.

mod commit;
mod connect;
mod read;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{Connection, PgConnection, PgPool, postgres::PgConnectOptions};
use time::OffsetDateTime;
use tokio::{runtime::Handle, sync::Mutex, time::timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Fault, OpenError, RecordedEvent, Replication,
    backend::{Backend, Committed, Group, Look, Read},
    event::from_micros,
    pools::Pool,
};
pub(crate) use connect::{Use, options, patiently_connect, pool};

/// Longer than the server lets a statement run: after it the connection is taken for dead.
const TIMEOUT: Duration = Duration::from_secs(7);

/// The database's clock, in microseconds since 1970.
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

pub(crate) struct Postgres {
    options: PgConnectOptions,
    /// Where the log was opened. A connection belongs to the runtime in which it was made, and whoever appends may be in one
    /// that has much else to do.
    home: Handle,
    /// Absent until it is first needed and after a fault.
    writer: Mutex<Option<PgConnection>>,
    readers: PgPool,
}

impl Postgres {
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        let options = options(url)?;
        let mut writer = patiently_connect(&options, Use::Log).await?;
        connect::refuse_unsafe(&mut writer).await?;
        let readers = pool(options.clone(), Use::Log, 2);
        Ok(Self {
            options,
            home: Handle::current(),
            writer: Mutex::new(Some(writer)),
            readers,
        })
    }

    /// The writing connection, taken out of its place; whoever had success with it puts it back.
    async fn writer(&self, place: &mut Option<PgConnection>) -> Result<PgConnection, Fault> {
        if let Some(connection) = place.take() {
            return Ok(connection);
        }
        let options = self.options.clone();
        let connecting = async move { connect::connect(&options, Use::Log).await };
        let connected = AbortOnDropHandle::new(self.home.spawn(connecting)).await;
        connected.map_err(|_ended| sqlx::Error::WorkerCrashed)?
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
        let mut place = self.writer.lock().await;
        let mut connection = self.writer(&mut place).await?;
        let committed = in_time(commit::commit(&mut connection, group)).await?;
        *place = Some(connection);
        Ok(committed)
    }

    async fn look(&self, looks: &[Look<'_>]) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault> {
        let mut place = self.writer.lock().await;
        let mut connection = self.writer(&mut place).await?;
        let answers = in_time(read::look(&mut connection, looks)).await?;
        *place = Some(connection);
        Ok(answers)
    }

    async fn read(&self, read: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, Fault> {
        in_time(read::read(&self.readers, read)).await
    }

    async fn now(&self) -> Result<OffsetDateTime, Fault> {
        let now = sqlx::query_scalar(NOW);
        let now = in_time(async { Ok(now.fetch_one(&self.readers).await?) }).await?;
        Ok(from_micros(now))
    }

    async fn replication(&self) -> Result<Replication, Fault> {
        in_time(read::replication(&self.readers)).await
    }

    fn readers(&self) -> Option<Pool> {
        Some(Pool::Postgres(self.readers.clone()))
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = self.writer.lock().await.take() {
            // The server notices a connection that is merely dropped.
            let _ = writer.close().await;
        }
    }
}
