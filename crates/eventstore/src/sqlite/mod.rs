//! The log in a file of its own, for one process: one writing connection and two readers.

mod commit;
mod connect;
mod insert;
mod read;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use sqlx::{Connection, SqlitePool};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use crate::{
    Fault, RecordedEvent,
    backend::{Backend, Committed, Group, Look, Read},
    pools::Pool,
};
use commit::Writer;
pub(crate) use connect::{DataFolder, Durability, connect, migrating, readers, writing};

pub(crate) struct Sqlite {
    folder: Arc<DataFolder>,
    /// Absent until it is first needed and after a fault.
    writer: Mutex<Option<Writer>>,
    /// Whether the WAL is to be moved into the database. Whoever asks is not to stand in line for the writer in vain: the next
    /// group would have to wait behind.
    untidy: AtomicBool,
    readers: SqlitePool,
}

impl Sqlite {
    pub(crate) async fn open(folder: Arc<DataFolder>) -> Result<Self, Fault> {
        let file = folder.file("log");
        let writer = Writer::connect(&file).await?;
        let readers = readers(&file).await?;
        Ok(Self {
            folder,
            untidy: AtomicBool::new(writer.is_checkpoint_due()),
            writer: Mutex::new(Some(writer)),
            readers,
        })
    }

    /// The writer, taken out of its place; whoever had success with it puts it back.
    async fn writer(&self, place: &mut Option<Writer>) -> Result<Writer, Fault> {
        match place.take() {
            Some(writer) => Ok(writer),
            None => Writer::connect(&self.folder.file("log")).await,
        }
    }
}

#[async_trait]
impl Backend for Sqlite {
    async fn commit(&self, group: &Group<'_>) -> Result<Committed, Fault> {
        let mut place = self.writer.lock().await;
        let mut writer = self.writer(&mut place).await?;
        let committed = writer.commit(group).await?;
        self.untidy.store(writer.is_checkpoint_due(), Ordering::Relaxed);
        *place = (!writer.is_outdated()).then_some(writer);
        Ok(committed)
    }

    async fn look(&self, looks: &[Look<'_>]) -> Result<Vec<Vec<Arc<RecordedEvent>>>, Fault> {
        let mut place = self.writer.lock().await;
        let mut writer = self.writer(&mut place).await?;
        let answers = read::look(writer.connection(), looks).await?;
        *place = Some(writer);
        Ok(answers)
    }

    async fn tidy(&self) {
        if self.untidy.load(Ordering::Relaxed)
            && let Some(writer) = self.writer.lock().await.as_mut()
        {
            writer.checkpoint_if_due().await;
            self.untidy.store(false, Ordering::Relaxed);
        }
    }

    async fn read(&self, read: Read<'_>) -> Result<Vec<Arc<RecordedEvent>>, Fault> {
        read::read(&self.readers, read).await
    }

    async fn now(&self) -> Result<OffsetDateTime, Fault> {
        Ok(crate::clock::machine())
    }

    fn readers(&self) -> Option<Pool> {
        Some(Pool::Sqlite(self.readers.clone()))
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(writer) = self.writer.lock().await.take() {
            writer.close().await;
        }
    }
}

impl Writer {
    async fn close(self) {
        if let Err(error) = self.into_connection().close().await {
            tracing::warn!(%error, "the log was not closed in order");
        }
    }
}
