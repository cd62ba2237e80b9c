//! Publishing from one look at the stream to the next fault.

use std::{sync::Arc, time::Duration, vec};

use futures::FutureExt;
use tiffin_eventstore::{Cursor, RecordedEvent, SubscribeError, Subscription};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Relay, batch, fault::Fault, mark::Place, pace::Pace, window::Window};
use crate::connection::{ACK_TIMEOUT, State};

/// How often a checkpoint is saved at most.
const SAVE_EVERY: Duration = Duration::from_millis(500);
/// How long a stopping relay waits for what is in flight.
const DRAIN: Duration = Duration::from_secs(1);

/// A relay that has looked and publishes.
pub(super) struct Session<'a> {
    relay: &'a Relay,
    connection: watch::Receiver<State>,
    lease: watch::Receiver<bool>,
    /// The stored checkpoint's cursor: the fence.
    saved: Cursor,
    place: Place,
    /// The place is not saved yet.
    unsaved: bool,
}

impl<'a> Session<'a> {
    /// Looks at the stream and saves where to go on before anything is published.
    pub(super) async fn begin(relay: &'a Relay) -> Result<Self, Fault> {
        let mut connection = relay.bus.publishing().state.clone();
        if !connection.borrow_and_update().is_connected() {
            return Err(Fault::Disconnected);
        }
        let mut lease = relay.config.lease.watch();
        if !*lease.borrow_and_update() {
            return Err(Fault::Lease);
        }
        let checkpoint = relay.config.derived.checkpoint(relay.config.name).await?;
        let place = Box::pin(relay.look(&checkpoint)).await?;
        let found = place.checkpoint();
        let unsaved = found.cursor != checkpoint.cursor || found.note != checkpoint.note;
        let mut session = Session {
            relay,
            connection,
            lease,
            saved: checkpoint.cursor,
            place,
            unsaved,
        };
        session.save().await?;
        relay.reached(place.cursor);
        Ok(session)
    }

    /// How far it has come.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Publishes until `token` is cancelled or a fault asks for another look; keeps what was acknowledged.
    pub(super) async fn run(&mut self, token: &CancellationToken) -> Result<(), Fault> {
        let connection = self.relay.bus.publishing();
        let stream = self.relay.config.stream.name;
        let opened = timeout(
            ACK_TIMEOUT,
            Window::new(connection, stream, self.place.mark.sequence),
        )
        .await;
        let mut window = opened.map_err(|_elapsed| Fault::Disconnected)??;
        let published = self.publish(&mut window, token).await;
        if published.is_ok() {
            // What is not acknowledged by then is found in the stream by whoever goes on.
            timeout(DRAIN, self.settle_all(&mut window)).await.ok();
        }
        match published {
            Err(Fault::Fenced) => Err(Fault::Fenced),
            published => self.save().await.and(published),
        }
    }

    async fn publish(&mut self, window: &mut Window, token: &CancellationToken) -> Result<(), Fault> {
        let mut subscription = self.relay.config.store.subscribe(self.place.cursor);
        let mut backlog = Vec::new().into_iter();
        let mut pace = Pace::new(self.relay.gather);
        let mut saving = interval(SAVE_EVERY);
        saving.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => return Ok(()),
                _ = self.connection.changed() => return Err(Fault::Disconnected),
                () = lost(&mut self.lease) => return Err(Fault::Lease),
                Some(settled) = window.settled() => {
                    self.settle(settled?);
                    self.settle_ready(window)?;
                }
                _ = saving.tick(), if self.unsaved => self.save().await?,
                batch = next(&mut subscription, &pace), if backlog.len() == 0 => {
                    backlog = batch?.into_iter();
                    pace.looked();
                    window.pause();
                }
            }
            let before = window.last_sequence();
            while backlog.len() > 0 && window.has_room() {
                self.send(window, &mut backlog).await?;
            }
            pace.published(window.last_sequence() - before);
        }
    }

    /// Publishes the next events as one batch behind those in flight; what has no message is settled with them.
    async fn send(
        &mut self,
        window: &mut Window,
        backlog: &mut vec::IntoIter<Arc<RecordedEvent>>,
    ) -> Result<(), Fault> {
        let mut messages = Vec::with_capacity(backlog.len().min(batch::SIZE));
        let mut through = self.place.cursor;
        while messages.len() < batch::SIZE
            && let Some(event) = backlog.next()
        {
            through = event.cursor();
            messages.extend((self.relay.map)(&event).map(|message| (through, message)));
        }
        if messages.is_empty() {
            if !window.pass_over(through) {
                self.settle((through, self.place.mark.sequence));
            }
            return Ok(());
        }
        let client = &self.relay.bus.publishing().client;
        let published = timeout(ACK_TIMEOUT, window.publish(client, messages, through)).await;
        published.map_err(|_elapsed| Fault::Unacknowledged)?
    }

    fn settle(&mut self, (cursor, sequence): (Cursor, u64)) {
        self.relay
            .metrics
            .published
            .inc_by(sequence - self.place.mark.sequence);
        self.place.cursor = cursor;
        self.place.mark.sequence = sequence;
        self.unsaved = true;
        self.relay.reached(cursor);
    }

    /// Settles what has been acknowledged already.
    fn settle_ready(&mut self, window: &mut Window) -> Result<(), Fault> {
        while let Some(Some(settled)) = window.settled().now_or_never() {
            self.settle(settled?);
        }
        Ok(())
    }

    async fn settle_all(&mut self, window: &mut Window) {
        while let Some(Ok(settled)) = window.settled().await {
            self.settle(settled);
        }
    }

    async fn save(&mut self) -> Result<(), Fault> {
        if self.unsaved {
            let config = &self.relay.config;
            config
                .derived
                .save(config.name, &self.saved, &self.place.checkpoint())
                .await?;
            self.saved = self.place.cursor;
            self.unsaved = false;
        }
        Ok(())
    }
}

/// The next events, when it is time for them.
async fn next(
    subscription: &mut Subscription,
    pace: &Pace,
) -> Result<Vec<Arc<RecordedEvent>>, SubscribeError> {
    pace.rest().await;
    subscription.next().await
}

/// Waits until the lease is no longer held.
async fn lost(lease: &mut watch::Receiver<bool>) {
    // A lease that has ended is not held either.
    lease.wait_for(|held| !held).await.ok();
}
