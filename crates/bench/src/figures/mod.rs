//! The figures: each sets up Tiffin and its floor, and has them measured in turn.

mod alone;
mod append;
mod bare;
mod create;
mod history;
mod million;
mod overload;
mod push;
mod rebuild;
mod reconnect;
mod relay;
pub(crate) mod sagas;
mod screen;
mod steady;

use std::{future::Future, pin::Pin};

use anyhow::{Context, Result};
use tiffin_eventstore::{DatabaseUrl, EventStore};
use tiffin_testkit::{Postgres, scratch_folder};

use crate::{floor::rows::Rows, method::Plan, report::Figure, usage::Watched};

/// A figure that can be asked for.
pub(crate) struct Entry {
    /// By which name.
    pub(crate) name: &'static str,
    /// What it says.
    pub(crate) what: &'static str,
    /// Whether it is measured only when it is asked for by its name.
    pub(crate) on_request: bool,
    /// Measures it.
    pub(crate) measure: fn(Plan) -> Measuring,
}

type Measuring = Pin<Box<dyn Future<Output = Result<Figure>>>>;

/// Every figure, in the order in which they are measured.
pub(crate) const ALL: &[Entry] = &[
    Entry {
        name: append::NAME,
        what: "256 appenders of one event each, beside one connection that inserts batches of 64 rows",
        on_request: false,
        measure: |plan| Box::pin(append::measure(plan)),
    },
    Entry {
        name: steady::NAME,
        what: "the same for ten minutes, and how long the slowest append takes",
        on_request: false,
        measure: |plan| Box::pin(steady::measure(plan)),
    },
    Entry {
        name: create::BURST,
        what: "createOrder by 256 clients for 10 s, beside the same HTTP stack with a resolver that does nothing",
        on_request: false,
        measure: |plan| Box::pin(create::burst(plan)),
    },
    Entry {
        name: create::SUSTAINED,
        what: "the same for 60 s, relay and saga starts keeping up",
        on_request: false,
        measure: |plan| Box::pin(create::sustained(plan)),
    },
    Entry {
        name: alone::NAME,
        what: "createOrder by one client alone, beside one durable insert of the same bytes",
        on_request: false,
        measure: |plan| Box::pin(alone::measure(plan)),
    },
    Entry {
        name: overload::NAME,
        what: "three times the load that 256 clients make, and what is left of it 5 s later",
        on_request: false,
        measure: |plan| Box::pin(overload::measure(plan)),
    },
    Entry {
        name: sagas::MANY,
        what: "512 orders under way, all waits zero, beside their rows and messages without any order",
        on_request: false,
        measure: |plan| Box::pin(sagas::many(plan)),
    },
    Entry {
        name: sagas::ALONE,
        what: "one order at a time from placed to delivered, beside one durable insert",
        on_request: false,
        measure: |plan| Box::pin(sagas::alone(plan)),
    },
    Entry {
        name: push::NAME,
        what: "updates that waited to 10,000 sockets, beside a bare axum server of sockets",
        on_request: false,
        measure: |plan| Box::pin(push::measure(plan)),
    },
    Entry {
        name: reconnect::NAME,
        what: "10,000 sockets that come back at once after the notifier was killed",
        on_request: false,
        measure: |plan| Box::pin(reconnect::measure(plan)),
    },
    Entry {
        name: screen::NAME,
        what: "500 orders a second from each commit to the screen, beside a bare stream and a bare socket",
        on_request: false,
        measure: |plan| Box::pin(screen::measure(plan)),
    },
    Entry {
        name: relay::NAME,
        what: "a log carried into an empty stream, beside a bare client that publishes the same messages",
        on_request: false,
        measure: |plan| Box::pin(relay::measure(plan)),
    },
    Entry {
        name: rebuild::NAME,
        what: "the list of orders built anew from the log",
        on_request: false,
        measure: |plan| Box::pin(rebuild::measure(plan)),
    },
    Entry {
        name: bare::NAME,
        what: "an order's work by bare parts, beside the floors of create-burst, alone and saga-alone; only by its name",
        on_request: true,
        measure: |plan| Box::pin(bare::measure(plan)),
    },
    Entry {
        name: million::NAME,
        what: "a log of 1,100,000 orders, beside an empty one; only by its name, since filling it takes minutes",
        on_request: true,
        measure: |plan| Box::pin(million::measure(plan)),
    },
];

/// The figures of these names; without any, all that nobody has to ask for.
///
/// # Errors
/// There is no such figure.
pub(crate) fn named(names: &[String]) -> Result<Vec<&'static Entry>> {
    if names.is_empty() {
        return Ok(ALL.iter().filter(|entry| !entry.on_request).collect());
    }
    let find = |name: &String| {
        let found = ALL.iter().find(|entry| entry.name == name);
        found.with_context(|| format!("there is no figure {name:?}; --list shows what there is"))
    };
    names.iter().map(find).collect()
}

/// Whose orders they are: the one that the customers' key stands for, so that it may watch them.
const OWNER: &str = "customer";
/// How many events a stream has: those of an order of four waits.
pub(crate) const EVENTS: u64 = 6;
/// The type of the events that stand for an order's.
pub(crate) const KIND: &str = "OrderUpdated";
/// As large as an order's usual event.
pub(crate) const DATA: &[u8] = &[b'd'; 300];
/// As large as its metadata.
pub(crate) const METADATA: &[u8] = &[b'm'; 100];

/// The two databases, each as a log and as what is beside it.
enum Engine {
    Sqlite,
    Postgres(Postgres),
}

impl Engine {
    async fn both() -> [(&'static str, Self); 2] {
        [
            ("SQLite", Self::Sqlite),
            ("PostgreSQL", Self::Postgres(Postgres::start().await)),
        ]
    }

    /// The server; none where the log is SQLite's.
    fn postgres(&self) -> Option<Postgres> {
        match self {
            Self::Sqlite => None,
            Self::Postgres(server) => Some(server.clone()),
        }
    }

    /// Where an empty log can be.
    async fn log_url(&self) -> Result<DatabaseUrl> {
        match self {
            Self::Sqlite => Ok(DatabaseUrl::Sqlite(scratch_folder("log"))),
            Self::Postgres(server) => Ok(server.database().await.url.parse()?),
        }
    }

    /// An empty log, and whose work counts that uses it.
    async fn log(&self) -> Result<(EventStore, Watched)> {
        let url = self.log_url().await?;
        EventStore::migrate(&url).await?;
        let watched = self.watched().and_log(&url);
        Ok((
            EventStore::open(tiffin_eventstore::Config::new(url)).await?,
            watched,
        ))
    }

    /// The floor beside it.
    async fn rows(&self) -> Result<Rows> {
        match self {
            Self::Sqlite => Rows::sqlite(&scratch_folder("floor")).await,
            Self::Postgres(server) => Rows::postgres(&server.database().await.url, self.watched()).await,
        }
    }

    /// Whose work counts: this process, and the database's.
    fn watched(&self) -> Watched {
        match self {
            Self::Sqlite => Watched::this(),
            Self::Postgres(server) => Watched::this().and(server.id()),
        }
    }
}
