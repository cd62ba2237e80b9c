//! An event store on SQL with the semantics of EventStoreDB: streams, expected revisions, one gap-free log.

mod append;
mod backend;
mod clock;
mod config;
mod cursor;
mod database;
mod derived;
mod error;
mod event;
mod fault;
mod grant;
mod health;
mod metrics;
mod migrate;
mod pools;
mod postgres;
mod replication;
mod sql;
mod sqlite;
mod store;
mod subscription;
mod tail;
mod writer;

pub use append::{Append, Appended, Expected, Urgency};
pub use config::{Config, DatabaseUrl, NotADatabaseUrl};
pub use cursor::{Cursor, NotACursor};
pub use derived::{Checkpoint, Derived, Lease, Tx, parts};
pub use error::{AppendError, DerivedError, MigrateError, OpenError, ReadError, SubscribeError};
pub use event::{Direction, NewEvent, Position, RecordedEvent, Revision, StreamName, from_micros, to_micros};
pub use fault::Fault;
pub use grant::{Grant, Granted, LogAccess};
pub use migrate::Migrations;
pub use replication::{Replication, Standbys};
pub use store::EventStore;
pub use subscription::Subscription;
