//! A bare axum server of sockets that sends each of them the messages of a bare stream that it asked for, and before
//! them one at once, unless it asked for later ones: `tiffin-bench` started with `--forward PORT NATS`.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use async_nats::jetstream::{
    self,
    consumer::{AckPolicy, DeliverPolicy, pull},
    stream,
};
use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::Response,
    routing::get,
};
use futures::StreamExt;
use tokio::{
    net::TcpListener,
    sync::mpsc::{UnboundedSender, unbounded_channel},
};
use uuid::Uuid;

use super::{publish::STREAM, socket::UPDATES};
use crate::load::{frames::holds, socket::id};

/// How the process is told to be this server.
pub(crate) const ARGUMENT: &str = "--forward";
/// What the stream's subjects begin with; the order's id follows.
pub(crate) const SUBJECT: &str = "event.";

const ACKNOWLEDGED: Utf8Bytes = Utf8Bytes::from_static(r#"{"type":"connection_ack"}"#);

/// What an update of an order looks like on the wire.
pub(crate) fn frame(order: &Uuid, version: u64) -> String {
    format!(
        r#"{{"id":"{order}","type":"next","payload":{{"data":{{"onOrderUpdated":{{"id":"{order}","status":"PREPARING","version":{version},"updatedAt":"2026-01-01T12:00:00.000Z"}}}}}}}}"#
    )
}

/// Who wants which order's messages.
type Watching = Arc<Mutex<HashMap<Uuid, UnboundedSender<Utf8Bytes>>>>;

/// Serves until the process is killed.
///
/// # Errors
/// The port is in use, or there is no broker.
pub(crate) async fn serve(port: &str, nats: &str) -> Result<()> {
    let watching = Watching::default();
    let router = Router::new()
        .route("/graphql/ws", get(upgrade))
        .with_state(Arc::clone(&watching));
    let messages = consumer(nats).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse()?)).await?;
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        forwarded = forward(messages, watching) => forwarded,
    }
}

/// From the stream's present end on, without acknowledgements.
async fn consumer(nats: &str) -> Result<pull::Stream> {
    let jetstream = jetstream::new(async_nats::connect(nats).await?);
    let stream = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec![format!("{SUBJECT}>")],
        ..stream::Config::default()
    };
    let consumer = pull::Config {
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::None,
        memory_storage: true,
        ..pull::Config::default()
    };
    let stream = jetstream.create_stream(stream).await?;
    let consumer = stream.create_consumer(consumer).await?;
    Ok(consumer.messages().await?)
}

async fn forward(mut messages: pull::Stream, watching: Watching) -> Result<()> {
    while let Some(message) = messages.next().await {
        let message = message?;
        let order = message
            .subject
            .strip_prefix(SUBJECT)
            .context("an order")?
            .parse()?;
        let text = Utf8Bytes::try_from(message.payload.clone())?;
        let watching = watching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = watching.get(&order) {
            socket.send(text)?;
        }
    }
    Ok(())
}

async fn upgrade(State(watching): State<Watching>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols(["graphql-transport-ws"])
        .on_upgrade(|socket| async {
            // It ends when the client goes.
            let _gone = answer(socket, watching).await;
        })
}

async fn answer(mut socket: WebSocket, watching: Watching) -> Result<()> {
    socket.recv().await;
    socket.send(Message::Text(ACKNOWLEDGED)).await?;
    let (sender, mut frames) = unbounded_channel();
    loop {
        tokio::select! {
            Some(text) = frames.recv() => socket.send(Message::Text(text)).await?,
            message = socket.recv() => {
                let Message::Text(text) = message.context("the client has gone")?? else { continue };
                let order = id(text.as_bytes()).context("an order")?;
                watching.lock().unwrap_or_else(PoisonError::into_inner).insert(order, sender.clone());
                if !holds(text.as_bytes(), br#""after":"#) {
                    let [present, ..] = UPDATES;
                    socket.send(Message::Text(present)).await?;
                }
            }
        }
    }
}
