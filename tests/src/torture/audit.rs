//! Reads what is left: the log, and the broker's two streams.

use anyhow::{Context, Result};
use async_nats::{ConnectOptions, ServerAddr, jetstream};
use tiffin_eventstore::{Config, Direction, EventStore, Position, RecordedEvent};
use tiffin_proto::{Envelope, decode_bus, kind, public, v1};
use time::OffsetDateTime;
use uuid::Uuid;

use super::history::{Evidence, Logged};

/// How many events are read at a time.
const PAGE: usize = 1_000;

/// Reads the log and both streams into the evidence.
pub async fn read(evidence: &mut Evidence, database_url: &str, nats_url: &str) -> Result<()> {
    evidence.log = log(database_url).await?;
    evidence.created = stream(nats_url, "ORDER_CREATED").await?;
    evidence.updated = stream(nats_url, "ORDER_UPDATED").await?;
    Ok(())
}

/// The position of the log's last event.
pub async fn head(database_url: &str) -> Result<u64> {
    let store = EventStore::open(Config::new(database_url.parse()?)).await?;
    let head = store.head().await?;
    store.close().await;
    Ok(head.position.0)
}

/// The orders' events in the log's order.
pub async fn log(database_url: &str) -> Result<Vec<Logged>> {
    let store = EventStore::open(Config::new(database_url.parse()?)).await?;
    let mut events = Vec::new();
    let mut after = Position::START;
    loop {
        let page = store.read_all(after, Direction::Forwards, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for event in &page {
            events.extend(logged(event)?);
        }
    }
    store.close().await;
    Ok(events)
}

/// None if the event is not an order's.
fn logged(event: &RecordedEvent) -> Result<Option<Logged>> {
    let Some(order) = event.stream.as_str().strip_prefix("order-") else {
        return Ok(None);
    };
    let envelope = Envelope::decode(&event.metadata)?;
    let visible = envelope.version.zip(envelope.status);
    let public = public(&event.data);
    let creates = &*event.kind == kind::ORDER_CREATED;
    let label = match &public {
        Some(public) if creates => first_product(public)?,
        _ => None,
    };
    Ok(Some(Logged {
        event: event.id,
        order: order.parse()?,
        revision: event.revision.0,
        creates,
        visible: visible.map(|(version, status)| (version.get(), status.as_str().to_owned())),
        committed: (event.created_at - OffsetDateTime::UNIX_EPOCH).try_into()?,
        label,
        published: public.is_some(),
    }))
}

fn first_product(public: &[u8]) -> Result<Option<String>> {
    let event = decode_bus(public)?;
    Ok(match event.event {
        Some(v1::event::Event::OrderCreated(created)) => {
            let products = created.order.map(|order| order.products).unwrap_or_default();
            products.into_iter().next().map(|product| product.name)
        }
        _ => None,
    })
}

/// The ids of the events that a stream of the broker holds, in its order.
pub async fn stream(nats_url: &str, name: &str) -> Result<Vec<Uuid>> {
    held(connected(nats_url).await?, name).await
}

/// The same, by a client that is connected already.
pub async fn held(client: async_nats::Client, name: &str) -> Result<Vec<Uuid>> {
    let stream = jetstream::new(client).get_stream(name).await?;
    let state = &stream.cached_info().state;
    let mut ids = Vec::new();
    // An empty stream's first message is number 0, which cannot be asked for.
    for sequence in state.first_sequence.max(1)..=state.last_sequence {
        let message = stream.get_raw_message(sequence).await?;
        let id = message.headers.get("ce-id").context("a message without ce-id")?;
        ids.push(id.as_str().parse()?);
    }
    Ok(ids)
}

/// The library does not look for a user and a password in a URL.
async fn connected(nats_url: &str) -> Result<async_nats::Client> {
    let server: ServerAddr = nats_url.parse()?;
    let options = match (server.username(), server.password()) {
        (Some(user), Some(password)) => {
            ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned())
        }
        _ => ConnectOptions::new(),
    };
    Ok(options.connect(server).await?)
}
