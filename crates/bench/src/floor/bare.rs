//! An order by bare parts: the HTTP and GraphQL stack of `api` over a resolver that answers when a plain sqlx connection
//! has inserted a row; a bare client publishes it, another pulls it, inserts a second row and acknowledges.
//! `tiffin-bench` started with `--bare PORT NATS DATABASE`.
//!
//! Nothing is checked, and nothing is found again after a crash: it is what Tiffin would be if its own work cost nothing.

use std::path::Path;

use anyhow::Result;
use async_nats::jetstream::{self, consumer::pull};
use futures::StreamExt;
use tiffin_graphql::{Error, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::{
    publish::{STREAM, Window},
    resolver,
    rows::Rows,
};
use crate::{figures::sagas::placed_order, usage::Watched};

/// How the process is told to be this server.
pub(crate) const ARGUMENT: &str = "--bare";
/// What pulls the orders.
pub(crate) const CONSUMER: &str = "bare";
/// The most rows of a batch.
const BATCH: usize = 256;
/// How many rows, messages or acknowledgements may wait.
const WAITING: usize = 2048;

/// Answers until the process is killed.
///
/// # Errors
/// The port is in use, or there is no broker, or no such database.
pub(crate) async fn serve(port: &str, nats: &str, database: &str) -> Result<()> {
    let mut rows = match database.strip_prefix("sqlite:") {
        Some(folder) => Rows::sqlite(Path::new(folder)).await?,
        None => Rows::postgres(database, Watched::none()).await?,
    };
    rows.rows_like(&placed_order()?.events[0]);
    let window = Window::open(nats).await?;
    let messages = consumer(nats).await?;
    let (wanted, wanting) = mpsc::channel(WAITING);
    let (publish, published) = mpsc::channel(WAITING);
    let orders = wanted.clone();
    let placed = move || place(orders.clone());
    tokio::select! {
        served = resolver::serve(port.parse()?, placed) => served,
        inserted = insert(rows, wanting, publish) => inserted,
        published = relay(window, published) => published,
        consumed = consume(messages, wanted) => consumed,
    }
}

/// A row to be inserted.
struct Wanted {
    done: oneshot::Sender<()>,
    /// Whether it begins an order, and is published.
    begins: bool,
}

impl Wanted {
    fn new(begins: bool) -> (Self, oneshot::Receiver<()>) {
        let (done, inserted) = oneshot::channel();
        (Self { done, begins }, inserted)
    }
}

/// Waits until an order's first row is on disk.
async fn place(orders: mpsc::Sender<Wanted>) -> Result<(), Error> {
    let lost = || Error::from(ErrorCode::Unavailable);
    let (row, done) = Wanted::new(true);
    orders.send(row).await.map_err(|_ended| lost())?;
    done.await.map_err(|_ended| lost())
}

/// Inserts all rows that wait as one batch, again and again.
async fn insert(
    mut rows: Rows,
    mut wanting: mpsc::Receiver<Wanted>,
    publish: mpsc::Sender<()>,
) -> Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    while wanting.recv_many(&mut batch, BATCH).await > 0 {
        rows.batches_of(batch.len().try_into()?);
        rows.insert().await?;
        for Wanted { done, begins } in batch.drain(..) {
            let _gone = done.send(());
            if begins {
                publish.send(()).await?;
            }
        }
    }
    Ok(())
}

async fn relay(mut window: Window, mut published: mpsc::Receiver<()>) -> Result<()> {
    while let Some(()) = published.recv().await {
        window.publish().await?;
        if published.is_empty() {
            window.drain().await?;
        }
    }
    Ok(())
}

/// What pulls from the stream, from its beginning on.
///
/// # Errors
/// There is no such stream.
pub(crate) async fn consumer(nats: &str) -> Result<pull::Stream> {
    let jetstream = jetstream::new(async_nats::connect(nats).await?);
    let stream = jetstream.get_stream(STREAM).await?;
    let config = pull::Config {
        durable_name: Some(CONSUMER.to_owned()),
        max_ack_pending: WAITING.try_into()?,
        ..pull::Config::default()
    };
    Ok(stream.create_consumer(config).await?.messages().await?)
}

/// Acknowledges each message when its row is on disk.
async fn consume(mut messages: pull::Stream, wanted: mpsc::Sender<Wanted>) -> Result<()> {
    let (sender, mut inserted) = mpsc::channel(WAITING);
    let acknowledging = async {
        while let Some((done, message)) = inserted.recv().await {
            let (done, message): (oneshot::Receiver<()>, jetstream::Message) = (done, message);
            done.await?;
            message.ack().await.map_err(anyhow::Error::from_boxed)?;
        }
        Ok(())
    };
    let pulling = async {
        while let Some(message) = messages.next().await {
            let (row, done) = Wanted::new(false);
            wanted.send(row).await?;
            sender.send((done, message?)).await?;
        }
        Ok(())
    };
    tokio::select! {
        pulled = pulling => pulled,
        acknowledged = acknowledging => acknowledged,
    }
}
