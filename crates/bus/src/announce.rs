//! Tells other processes of this one's commits, so that their followers need not wait for the next poll.

use std::future;

use tiffin_eventstore::{EventStore, Position};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{backoff::Backoff, bus::Bus};

/// The subject of the announcements; the payload is the last position, a decimal number.
const SUBJECT: &str = "log.committed";

/// Announces this process' commits over core NATS and passes on the others' to the store, until `token` is cancelled.
///
/// Only a hint: what is lost, the store's own poll makes up for.
pub async fn announce_commits(bus: Bus, store: EventStore, token: CancellationToken) {
    tokio::select! {
        () = token.cancelled() => {}
        () = announce(&bus, &store) => {}
        () = listen(&bus, &store) => {}
    }
}

/// One message for all that was committed since the last.
async fn announce(bus: &Bus, store: &EventStore) {
    let mut committed = store.committed();
    while committed.changed().await.is_ok() {
        let position = committed.borrow_and_update().0;
        // Without NATS the others poll.
        bus.publish_core(SUBJECT, position.to_string().into()).await.ok();
    }
    future::pending::<()>().await;
}

async fn listen(bus: &Bus, store: &EventStore) {
    let mut backoff = Backoff::default();
    loop {
        let mut announcements = match bus.subscribe_core(SUBJECT).await {
            Ok(subscription) => subscription,
            Err(error) => {
                warn!(%error, "cannot listen to other processes' commits");
                backoff.wait().await;
                continue;
            }
        };
        while let Some(message) = announcements.next().await {
            let position = std::str::from_utf8(&message.payload)
                .ok()
                .and_then(|text| text.parse().ok());
            if let Some(position) = position {
                store.nudge(Position(position));
            }
        }
        backoff.wait().await;
    }
}
