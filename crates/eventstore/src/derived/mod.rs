//! What a service derives from the log: tables of its own, checkpoints that are fences, leases.

mod checkpoint;
mod lease;
mod parts;
mod tx;

use std::sync::Arc;

use sqlx::sqlite::SqlitePoolOptions;

pub use checkpoint::Checkpoint;
pub use lease::Lease;
pub use parts::parts;
pub use tx::Tx;

use crate::{
    DatabaseUrl, EventStore, MigrateError, Migrations, OpenError,
    clock::Clock,
    database::{self, Database},
    health::Health,
    migrate,
    pools::Pool,
    postgres,
    sqlite::{self, DataFolder, Durability},
};

/// The derived tables of one service: a schema of its own in PostgreSQL, a file of its own beside the log in SQLite.
/// All of it can be rebuilt from the log, so its transactions do not wait for the disk. Cheap to clone.
#[derive(Clone)]
pub struct Derived {
    writer: Pool,
    readers: Pool,
    schema: &'static str,
    clock: Arc<Clock>,
    /// Of what is read and written.
    health: Arc<Health>,
    /// Of the leases, whose renewal does not end the trouble of anything else.
    leases: Arc<Health>,
    /// Keeps other processes away from the file.
    _folder: Option<Arc<DataFolder>>,
}

impl Derived {
    /// Brings the schema up to date: the tables `checkpoints` and `leases`, then the service's own steps. Several
    /// processes may do so at once.
    ///
    /// # Errors
    /// The database does not answer, or refuses.
    pub async fn migrate(
        url: &DatabaseUrl,
        schema: &'static str,
        steps: Migrations,
    ) -> Result<(), MigrateError> {
        migrate::run(url, &migrate::derived(schema, steps)).await
    }

    /// Opens a schema beside the log, with one connection that writes and two that read. They are made in this runtime,
    /// and last no longer.
    ///
    /// # Errors
    /// The tables are older than this program, or the database does not answer.
    pub async fn open(
        store: &EventStore,
        schema: &'static str,
        steps: Migrations,
    ) -> Result<Self, OpenError> {
        let this = database::opened(|| Self::try_open(store, schema, steps)).await?;
        for (name, pool) in [("writer", &this.writer), ("readers", &this.readers)] {
            store.pools().show(schema, name, pool);
        }
        store.schemas().add(&this.health);
        store.schemas().add(&this.leases);
        Ok(this)
    }

    async fn try_open(
        store: &EventStore,
        schema: &'static str,
        steps: Migrations,
    ) -> Result<Self, OpenError> {
        let clock = store.clock();
        let health = || Arc::new(Health::of(schema));
        match store.database() {
            Database::Sqlite(folder) => {
                let file = folder.file(schema);
                for part in migrate::derived(schema, steps) {
                    migrate::sqlite::check(&file, part).await?;
                }
                let writer = SqlitePoolOptions::new()
                    .max_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None);
                let options = sqlite::writing(&file, Durability::Derived);
                let writer = writer.test_before_acquire(false).connect_with(options).await?;
                let readers = Pool::Sqlite(sqlite::readers(&file).await?);
                Ok(Self {
                    writer: Pool::Sqlite(writer),
                    readers,
                    schema,
                    clock,
                    health: health(),
                    leases: health(),
                    _folder: Some(Arc::clone(folder)),
                })
            }
            Database::Postgres(url) => {
                for part in migrate::derived(schema, steps) {
                    migrate::postgres::check(url, part).await?;
                }
                let options = postgres::options(url)?;
                let pool = |work| {
                    let usage = postgres::Use::Derived;
                    let connections = postgres::Connections::new(options.clone(), usage, work);
                    Pool::Postgres(Arc::new(connections))
                };
                Ok(Self {
                    writer: pool(postgres::Work::Writing),
                    readers: pool(postgres::Work::Reading),
                    schema,
                    clock,
                    health: health(),
                    leases: health(),
                    _folder: None,
                })
            }
        }
    }
}
