//! Carries the log into a stream: every event that has a message, once and in order, whatever is killed or wiped.
//!
//! One relay at a time writes a stream, in [batches](batch). Each message names the sequence it must follow, so that a
//! second relay, a hole or a message out of turn is refused by the server; then, and whenever an acknowledgement is
//! missing or the connection was lost, the relay drops what it has in flight and [looks](look) at the stream. Where it
//! goes on is decided in [`resync`], and saved before anything is published. Only somebody else who publishes into the
//! stream, as nobody may, can get an event into it twice: a message between two batches takes the place of the first, so
//! that the second is stored behind it, and comes again.

mod batch;
mod fault;
mod lag;
mod look;
mod mark;
mod pace;
mod resync;
mod search;
mod session;
mod tail;
mod window;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tiffin_eventstore::{Cursor, Derived, EventStore, Lease, Position, RecordedEvent};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub(crate) use self::fault::REASONS;
use self::{fault::Fault, session::Session};
use crate::{backoff::Backoff, bus::Bus, message::Message, metrics::RelayMetrics, spec::StreamSpec};

/// What a relay reads, writes and keeps.
#[derive(Clone)]
pub struct RelayConfig {
    /// The name of its checkpoint, also in metrics and logs.
    pub name: &'static str,
    /// The stream it writes, alone.
    pub stream: StreamSpec,
    /// The log it follows.
    pub store: EventStore,
    /// Where its checkpoint is kept.
    pub derived: Derived,
    /// It publishes only while this is held; without it two relays get in each other's way, but harm nothing.
    pub lease: Lease,
}

type Map = Box<dyn Fn(&RecordedEvent) -> Option<Message> + Send + Sync>;

/// Publishes the log's events into one stream.
pub struct Relay {
    bus: Bus,
    config: RelayConfig,
    map: Map,
    metrics: RelayMetrics,
    /// How long after the last events with a message are the next ones looked for.
    gather: Duration,
    /// The position up to which everything is published; not known before the first checkpoint is read, nor while
    /// somebody else holds the lease.
    position: Mutex<Option<Position>>,
}

impl Relay {
    /// A relay that publishes what `map` makes of an event; `None`: the event has no message in this stream.
    ///
    /// `map` must give the same message for the same event, whoever asks and whenever, save what it belongs to: each
    /// publication is a span of its own.
    pub fn new(
        bus: &Bus,
        config: RelayConfig,
        map: impl Fn(&RecordedEvent) -> Option<Message> + Send + Sync + 'static,
    ) -> Relay {
        let metrics = bus.metrics().relay(config.name);
        Relay {
            bus: bus.clone(),
            config,
            map: Box::new(map),
            metrics,
            gather: Duration::ZERO,
            position: Mutex::default(),
        }
    }

    /// The same, which lets events gather while they come thick and fast: it looks for more only so long after it has got
    /// some with a message. What comes after a longer pause is published at once.
    #[must_use]
    pub fn gathering(self, gather: Duration) -> Relay {
        Relay { gather, ..self }
    }

    /// Publishes whenever the lease is held and NATS is there, until `token` is cancelled; then waits a moment for
    /// what is in flight and saves its checkpoint.
    pub async fn run(self, token: CancellationToken) {
        tokio::select! {
            () = self.publish_forever(&token) => {}
            () = self.report_lag() => {}
        }
    }

    async fn publish_forever(&self, token: &CancellationToken) {
        let mut backoff = Backoff::default();
        let mut said = String::new();
        while self.is_wanted(token).await {
            // What is left in the middle of a look is looked at again by whoever comes next.
            let Some(begun) = token.run_until_cancelled(Session::begin(self)).await else {
                return;
            };
            let fault = match begun {
                Ok(mut session) => {
                    let begun = session.place();
                    let Err(fault) = session.run(token).await else {
                        return;
                    };
                    // A fault that only publishing meets, such as a subject that is no longer the stream's, comes again.
                    if session.place() != begun {
                        backoff.reset();
                        said.clear();
                    }
                    fault
                }
                Err(fault) => fault,
            };
            self.metrics.rewound(fault.reason());
            match fault {
                Fault::Lease | Fault::Disconnected => {
                    debug!(relay = self.config.name, %fault, "relay pauses");
                }
                fault => {
                    let (passes, fault) = (fault.passes(), fault.to_string());
                    // What stays as it is, or passes by itself, is not said again and again.
                    if passes || fault == said {
                        debug!(relay = self.config.name, fault, "relay looks again");
                    } else {
                        warn!(
                            relay = self.config.name,
                            fault, "relay looks again until it can publish"
                        );
                        said = fault;
                    }
                    tokio::select! { () = backoff.wait() => {}, () = token.cancelled() => return }
                }
            }
        }
    }

    /// Waits for the lease and for NATS; `false` when the relay is to stop.
    async fn is_wanted(&self, token: &CancellationToken) -> bool {
        let ready = async {
            let mut lease = self.config.lease.watch();
            if !self.config.lease.held() {
                *self.known() = None;
            }
            if lease.wait_for(|held| *held).await.is_err() {
                return false;
            }
            // What waits for NATS counts as lag from the last checkpoint on.
            if let Ok(checkpoint) = self.config.derived.checkpoint(self.config.name).await {
                self.reached(checkpoint.cursor);
            }
            self.bus.publishing().connected().await;
            true
        };
        token.run_until_cancelled(ready).await.unwrap_or(false)
    }

    fn reached(&self, cursor: Cursor) {
        *self.known() = Some(cursor.position);
    }

    fn position(&self) -> Option<Position> {
        *self.known()
    }

    fn known(&self) -> MutexGuard<'_, Option<Position>> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
