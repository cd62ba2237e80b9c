//! Follows a stream for speed and the log for truth, and misses nothing of either while anything is wanted.
//!
//! A stream with one writer in log order vouches: a message at a position says that nothing before it is missing, as
//! long as the stream is the same and no sequence was skipped. The log is read wherever that does not hold, and once
//! a second in any case.

mod attachment;
mod trust;

use std::{convert::Infallible, future, pin::Pin, sync::Arc, time::Duration};

use async_nats::jetstream;
use bytes::Bytes;
use tiffin_eventstore::{Cursor, EventStore, ReadError, RecordedEvent};
use tiffin_trace::TraceParent;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, warn};
use uuid::Uuid;

use self::attachment::{AttachError, Attachment};
use crate::{
    backoff::{self, Backoff},
    bus::Bus,
    connection::State,
    message::Headers,
    metrics::FeedMetrics,
};

/// How often the log is read though nothing asks for it.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Events read at a time.
const PAGE: usize = 256;
/// Items that may wait for the reader.
const WAITING: usize = 1024;

/// What a feed brings. An event may come twice, and by either way; none of the log is missed while it is wanted.
#[derive(Clone, Debug)]
pub enum FeedItem {
    /// A message of the stream.
    Published {
        /// The subject it was published on.
        subject: String,
        /// Its payload.
        payload: Bytes,
        /// The id of its event.
        event_id: Uuid,
        /// What it belongs to, if that is sampled.
        trace: Option<TraceParent>,
    },
    /// An event that the log brought, of any kind.
    Logged(Arc<RecordedEvent>),
    /// The feed begins at the log's head: at its start, and again when the log does not hold what the feed brought.
    /// Forget what was learnt before, and read the log again.
    Reset,
}

/// A follower of one stream and the log. Its first item is a [`FeedItem::Reset`].
pub struct Feed {
    items: mpsc::Receiver<FeedItem>,
}

impl Feed {
    /// Begins to follow `stream` and `store`'s log, until it is dropped or the bus is stopped. The log is passed over while
    /// nothing is `wanted`: whoever begins to want something says so first, and then reads what the log has of it.
    pub fn new(
        bus: &Bus,
        store: EventStore,
        stream: &'static str,
        wanted: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Feed {
        let (sender, items) = mpsc::channel(WAITING);
        let follower = Follower {
            store,
            stream,
            wanted: Box::new(wanted),
            items: sender,
            read: Cursor::START,
            vouched: Cursor::START,
            metrics: bus.metrics().feed(stream),
            bus: bus.clone(),
        };
        let token = bus.token().clone();
        bus.tracker().spawn(async move {
            token.run_until_cancelled(follower.run()).await;
        });
        Feed { items }
    }

    /// The next item; `None` once the bus is stopped. Cancel-safe.
    pub async fn next(&mut self) -> Option<FeedItem> {
        self.items.recv().await
    }
}

/// Nobody reads the feed any more.
struct Dropped;

struct Follower {
    bus: Bus,
    store: EventStore,
    stream: &'static str,
    wanted: Box<dyn Fn() -> bool + Send + Sync>,
    items: mpsc::Sender<FeedItem>,
    /// Up to here the log was read.
    read: Cursor,
    /// Up to here everything was handed on, if what the stream's messages say of themselves is true; never before
    /// `read`.
    vouched: Cursor,
    metrics: FeedMetrics,
}

impl Follower {
    async fn run(mut self) {
        // Ends only when nobody reads any more.
        let Err(Dropped) = self.follow().await;
        debug!(stream = self.stream, "feed ends");
    }

    async fn follow(&mut self) -> Result<Infallible, Dropped> {
        self.begin().await?;
        let items = self.items.clone();
        let mut connection = self.bus.consuming().state.clone();
        let mut ticks = interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut attaching = self.attach(Duration::ZERO);
        let mut attached = None;
        loop {
            tokio::select! {
                biased;
                () = items.closed() => return Err(Dropped),
                () = changed(&mut connection) => {
                    attached = None;
                    attaching = self.attach(Duration::ZERO);
                }
                _ = ticks.tick() => {
                    if self.read_log().await? && let Some(attachment) = &mut attached {
                        attachment.trust.log_read();
                    }
                }
                attachment = &mut attaching, if attached.is_none() => {
                    self.metrics.attachments.inc();
                    let attachment = attached.insert(attachment);
                    if self.read_log().await? {
                        attachment.trust.log_read();
                    }
                }
                message = next(&mut attached) => match message {
                    Ok((attachment, message)) => self.take(attachment, message).await?,
                    Err(error) => {
                        warn!(stream = self.stream, %error, "feed attaches again");
                        attached = None;
                        attaching = self.attach(backoff::delay(3));
                    }
                },
            }
        }
    }

    fn attach(&self, delay: Duration) -> Pin<Box<impl Future<Output = Attachment> + use<>>> {
        Box::pin(Attachment::make(self.bus.clone(), self.stream, delay))
    }

    /// Hands a message on; the log's events that are missing before it go first.
    async fn take(&mut self, attached: &mut Attachment, message: jetstream::Message) -> Result<(), Dropped> {
        let sequence = match message.info() {
            Ok(info) => info.stream_sequence,
            Err(error) => {
                warn!(stream = self.stream, %error, "not a message of a stream");
                return Ok(());
            }
        };
        let message = message.message;
        let headers = Headers::from(message.headers);
        let event = headers.event();
        if attached.trust.received(sequence, event.is_some()) && self.read_log().await? {
            attached.trust.log_read();
        }
        let Some(event) = event else { return Ok(()) };
        if attached.trust.vouches() && event.position > self.vouched.position {
            self.vouched = event;
            self.metrics.vouched.inc();
        }
        let published = FeedItem::Published {
            subject: message.subject.into_string(),
            payload: message.payload,
            event_id: event.event_id,
            trace: headers.trace(),
        };
        self.hand_on(published).await
    }

    /// Hands on what the log has after the cursor; `false` if the log could not be read to its head.
    async fn read_log(&mut self) -> Result<bool, Dropped> {
        match self.pass_over().await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => return Ok(self.unread(&error)),
        }
        loop {
            let page = match self.next_page().await {
                Ok(page) => page,
                Err(ReadError::LogReplaced) => {
                    warn!(stream = self.stream, cursor = %self.vouched, "the log does not hold what was followed");
                    self.begin().await?;
                    continue;
                }
                Err(error) => return Ok(self.unread(&error)),
            };
            if page.is_empty() {
                return Ok(true);
            }
            for event in page {
                let cursor = event.cursor();
                self.hand_on(FeedItem::Logged(event)).await?;
                self.metrics.logged.inc();
                (self.read, self.vouched) = (cursor, cursor);
            }
        }
    }

    /// Goes on at the log's head if nothing is wanted, unless the log ends before what was followed. What is wanted is asked
    /// for once more when the head is known: whoever wants something from then on finds in the log all that lies before.
    async fn pass_over(&mut self) -> Result<bool, ReadError> {
        if (self.wanted)() {
            return Ok(false);
        }
        let head = self.store.head().await?;
        let passed = head.position >= self.vouched.position && !(self.wanted)();
        if passed {
            (self.read, self.vouched) = (head, head);
        }
        Ok(passed)
    }

    /// The log was not read to its head. The store has told of it.
    fn unread(&self, error: &ReadError) -> bool {
        debug!(stream = self.stream, %error, "feed cannot read the log");
        false
    }

    /// Reads on from where the stream's messages vouched to. A log that does not hold that counts as replaced: a message
    /// lied, or the log has lost its newest events, and what was handed on of either may never have been.
    async fn next_page(&mut self) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        if self.vouched != self.read {
            if !self.store.holds(self.vouched).await? {
                return Err(ReadError::LogReplaced);
            }
            self.read = self.vouched;
        }
        self.store.read_after(self.read, PAGE).await
    }

    async fn hand_on(&self, item: FeedItem) -> Result<(), Dropped> {
        self.items.send(item).await.map_err(|_| Dropped)
    }

    /// Begins at the log's head, and says so: whoever reads the log after that has no gap before the feed.
    async fn begin(&mut self) -> Result<(), Dropped> {
        let mut backoff = Backoff::default();
        let head = loop {
            match self.store.head().await {
                Ok(head) => break head,
                Err(error) => warn!(stream = self.stream, %error, "feed waits for the log"),
            }
            backoff.wait().await;
        };
        (self.read, self.vouched) = (head, head);
        self.hand_on(FeedItem::Reset).await
    }
}

async fn next(
    attached: &mut Option<Attachment>,
) -> Result<(&mut Attachment, jetstream::Message), AttachError> {
    match attached {
        Some(attachment) => attachment.next().await.map(|message| (attachment, message)),
        None => future::pending().await,
    }
}

async fn changed(connection: &mut watch::Receiver<State>) {
    if connection.changed().await.is_err() {
        // The bus is stopped, and the feed with it.
        future::pending::<()>().await;
    }
}
