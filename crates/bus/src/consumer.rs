//! Consuming a stream with a durable pull consumer, in batches, whatever becomes of consumer, stream and server.

use std::time::{Duration, Instant};

use async_nats::jetstream::{
    self,
    consumer::{Consumer, pull},
    message::Acker,
};
use bytes::Bytes;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    backoff::Backoff,
    bus::Bus,
    ensure::{self, EnsureError},
    message::Headers,
    metrics::ConsumerMetrics,
    spec::ConsumerSpec,
};

/// How long the server holds a pull open.
pub(crate) const EXPIRES: Duration = Duration::from_secs(10);
/// How often the server shows that it still holds it.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(3);
/// After so long without a message the server is asked whether there should be one.
const WATCHDOG: Duration = Duration::from_secs(15);
/// A server that does not read is not waited for longer; it delivers again.
const ACK_PATIENCE: Duration = Duration::from_secs(1);

/// How long a stream may be missing before somebody should look: at a first start, or after a loss of all the broker
/// held, its writer makes it within that time.
const ABSENCE: Duration = Duration::from_secs(10);

/// A message that is delivered until it is acknowledged.
pub struct Delivery {
    /// The subject it was published on.
    pub subject: String,
    /// Its headers.
    pub headers: Headers,
    /// Its payload.
    pub payload: Bytes,
    /// Its sequence in the stream.
    pub stream_sequence: u64,
    /// Which delivery this is, from 1.
    pub deliveries: u64,
    acker: Acker,
}

impl Delivery {
    /// Acknowledges it, so that it is not delivered again; may be called from any task. An acknowledgement that is
    /// lost means another delivery.
    pub async fn ack(&self) {
        match tokio::time::timeout(ACK_PATIENCE, self.acker.ack()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "a message will be delivered again"),
            Err(_) => debug!("a message will be delivered again: NATS does not take its acknowledgement"),
        }
    }
}

/// Pulls a stream's messages for the replicas of one service.
pub struct PullConsumer {
    bus: Bus,
    spec: ConsumerSpec,
    metrics: ConsumerMetrics,
}

impl PullConsumer {
    /// A consumer that is created when it first runs.
    pub fn new(bus: &Bus, spec: ConsumerSpec) -> PullConsumer {
        PullConsumer {
            bus: bus.clone(),
            metrics: bus.metrics().consumer(spec.durable),
            spec,
        }
    }

    /// Hands the messages to `handler`, a batch at a time, until `token` is cancelled; the next batch waits for the
    /// handler's return, but the handler may acknowledge later.
    ///
    /// Consumer and pull are made again after every loss; a stream that is not there is waited for.
    pub async fn run<H, F>(self, token: CancellationToken, mut handler: H)
    where
        H: FnMut(Vec<Delivery>) -> F + Send,
        F: Future<Output = ()> + Send,
    {
        let consuming = async {
            let mut backoff = Backoff::default();
            let mut absent = None;
            loop {
                self.bus.consuming().connected().await;
                if let Err(error) = self.pull(&mut backoff, &mut handler).await {
                    self.report(&error, &mut absent);
                }
                backoff.wait().await;
            }
        };
        token.run_until_cancelled(consuming).await;
    }

    /// `absent`: since when the stream has been missing.
    fn report(&self, error: &PullError, absent: &mut Option<Instant>) {
        let consumer = self.spec.durable;
        if !matches!(error, PullError::Ensure(error) if error.is_absence()) {
            *absent = None;
            warn!(consumer, %error, "consumer starts again");
            return;
        }
        let since = absent.get_or_insert_with(|| {
            info!(
                consumer,
                stream = self.spec.stream,
                "consumer waits for its stream"
            );
            Instant::now()
        });
        if since.elapsed() > ABSENCE {
            warn!(consumer, %error, "consumer still waits for its stream");
        }
    }

    /// Pulls until something is wrong.
    async fn pull<H, F>(&self, backoff: &mut Backoff, handler: &mut H) -> Result<(), PullError>
    where
        H: FnMut(Vec<Delivery>) -> F,
        F: Future<Output = ()>,
    {
        let mut connection = self.bus.consuming().state.clone();
        connection.mark_unchanged();
        let consumer = ensure::consumer(&self.bus.consuming().jetstream, &self.spec).await?;
        let messages = consumer
            .stream()
            .max_messages_per_batch(self.spec.batch)
            .expires(EXPIRES)
            .heartbeat(HEARTBEAT)
            .messages()
            .await
            .map_err(|error| PullError::Pull(error.into()))?;
        let mut batches = messages.ready_chunks(self.spec.batch);
        loop {
            let batch = tokio::select! {
                batch = batches.next() => batch.ok_or(PullError::Ended)?,
                _ = connection.changed() => return Err(PullError::Connection),
                () = tokio::time::sleep(WATCHDOG) => {
                    self.check(&consumer).await?;
                    continue;
                }
            };
            let mut error = None;
            let deliveries = batch.into_iter().filter_map(|message| match message {
                Ok(message) => self.delivery(message),
                Err(failed) => {
                    error = Some(PullError::Pull(failed.into()));
                    None
                }
            });
            let deliveries: Vec<_> = deliveries.collect();
            if !deliveries.is_empty() {
                backoff.reset();
                handler(deliveries).await;
            }
            error.map_or(Ok(()), Err)?;
        }
    }

    fn delivery(&self, message: jetstream::Message) -> Option<Delivery> {
        let info = message
            .info()
            .inspect_err(|error| warn!(%error, "not a message of a stream"))
            .ok()?;
        let stream_sequence = info.stream_sequence;
        let deliveries = u64::try_from(info.delivered).unwrap_or(1);
        self.metrics.deliveries.inc();
        if deliveries > 1 {
            self.metrics.redeliveries.inc();
        }
        self.metrics
            .lag
            .set(i64::try_from(info.pending).unwrap_or(i64::MAX));
        let (message, acker) = message.split();
        Some(Delivery {
            subject: message.subject.into_string(),
            headers: message.headers.into(),
            payload: message.payload,
            stream_sequence,
            deliveries,
            acker,
        })
    }

    /// Nothing came for long: fails unless there is indeed nothing to deliver.
    async fn check(&self, consumer: &Consumer<pull::Config>) -> Result<(), PullError> {
        let info = consumer
            .get_info()
            .await
            .map_err(|error| PullError::Pull(error.into()))?;
        self.metrics
            .lag
            .set(i64::try_from(info.num_pending).unwrap_or(i64::MAX));
        let may_deliver = info.num_ack_pending < self.spec.max_ack_pending as usize;
        if info.num_pending > 0 && may_deliver {
            Err(PullError::Stalled)
        } else {
            Ok(())
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum PullError {
    #[error(transparent)]
    Ensure(#[from] EnsureError),
    #[error("the pull failed: {0}")]
    Pull(#[source] async_nats::Error),
    #[error("the pull ended")]
    Ended,
    #[error("messages are waiting but none is delivered")]
    Stalled,
    #[error("the connection was lost")]
    Connection,
}
