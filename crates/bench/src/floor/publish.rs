//! Messages published by a bare client, with a window of acknowledgements to wait for.

use std::{collections::VecDeque, time::Duration};

use anyhow::Result;
use async_nats::{
    HeaderMap,
    jetstream::{self, context::PublishAckFuture, stream},
};
use bytes::Bytes;
use tiffin_testkit::NatsServer;
use uuid::Uuid;

use crate::{
    figures::DATA,
    run::{Clock, Run, Subject, latencies},
    usage::Watched,
};

/// How many messages may be without an acknowledgement; more makes consumers starve.
const WINDOW: usize = 512;

/// The stream.
pub(crate) const STREAM: &str = "FLOOR";

/// A bare client and what it has in flight.
pub(crate) struct Window {
    jetstream: jetstream::Context,
    in_flight: VecDeque<PublishAckFuture>,
    sequence: u64,
}

impl Window {
    /// A client of the server at `url`, with its stream.
    pub(crate) async fn open(url: &str) -> Result<Self> {
        let jetstream = jetstream::new(async_nats::connect(url).await?);
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: vec!["event.>".to_owned()],
            ..stream::Config::default()
        };
        jetstream.create_stream(config).await?;
        Ok(Self {
            jetstream,
            in_flight: VecDeque::with_capacity(WINDOW),
            sequence: 0,
        })
    }

    /// Publishes one message, as soon as there is room.
    pub(crate) async fn publish(&mut self) -> Result<()> {
        if self.in_flight.len() == WINDOW
            && let Some(oldest) = self.in_flight.pop_front()
        {
            oldest.await?;
        }
        let subject = format!("event.{}", Uuid::now_v7());
        let headers = headers(self.sequence);
        self.sequence += 1;
        let sent = self
            .jetstream
            .publish_with_headers(subject, headers, Bytes::from_static(DATA));
        self.in_flight.push_back(sent.await?);
        Ok(())
    }

    /// Waits until all is acknowledged.
    pub(crate) async fn drain(&mut self) -> Result<()> {
        for acknowledgement in self.in_flight.drain(..) {
            acknowledgement.await?;
        }
        Ok(())
    }
}

/// A client that publishes as many messages as it is told, each time into an empty stream.
pub(crate) struct Publisher {
    server: NatsServer,
    messages: u64,
}

impl Publisher {
    /// A client of `server`.
    pub(crate) fn new(server: NatsServer, messages: u64) -> Self {
        Self { server, messages }
    }
}

impl Subject for Publisher {
    /// Publishes all messages, however long that takes.
    async fn run(&mut self, _time: Duration) -> Result<Run> {
        self.server.wipe().await;
        let mut window = Window::open(&self.server.url()).await?;
        let watched = Watched::this().and(self.server.id());
        let clock = Clock::start(&watched)?;
        for _ in 0..self.messages {
            window.publish().await?;
        }
        window.drain().await?;
        clock.stop(self.messages, latencies())
    }
}

/// Those that a relay's message of an order has, which follows this sequence.
fn headers(last_sequence: u64) -> HeaderMap {
    let mut headers = said(last_sequence);
    headers.insert(
        async_nats::header::NATS_EXPECTED_LAST_SEQUENCE,
        last_sequence.to_string(),
    );
    headers
}

/// The same, wherever it stands in its stream.
pub(crate) fn said(position: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("ce-id", Uuid::now_v7().to_string());
    headers.insert("tiffin-position", position.to_string());
    for (name, value) in HEADERS {
        headers.insert(name, value);
    }
    headers
}

/// What an order's message says beside its identity.
pub(crate) const HEADERS: [(&str, &str); 5] = [
    ("ce-specversion", "1.0"),
    ("ce-type", "order.updated"),
    ("ce-source", "order.processing"),
    ("order-status", "PREPARING"),
    ("order-version", "3"),
];
