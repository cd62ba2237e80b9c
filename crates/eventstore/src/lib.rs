//! An event store on SQL with the semantics of EventStoreDB: streams, expected revisions, one gap-free log.

mod append;
mod config;
mod cursor;
mod error;
mod event;

pub use append::{Append, Appended, Expected, Urgency};
pub use config::{Config, DatabaseUrl, NotADatabaseUrl};
pub use cursor::{Cursor, NotACursor};
pub use error::{AppendError, DerivedError, Fault, MigrateError, OpenError, ReadError, SubscribeError};
pub use event::{Direction, NewEvent, Position, RecordedEvent, Revision, StreamName};
