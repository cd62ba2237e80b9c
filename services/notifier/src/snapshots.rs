//! Reads orders' histories from the store, all that are wanted at the same time in one statement.

use std::{collections::HashMap, sync::Arc};

use tiffin_eventstore::{EventStore, RecordedEvent, StreamName};
use tiffin_order::OrderId;
use tokio::sync::{mpsc, oneshot};

use crate::{decode, metrics::Metrics, update::History};

/// So many streams are read by one statement.
const STREAMS_PER_READ: usize = 256;

/// Why a history could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// The store does not answer; it may soon.
    #[error("the store cannot be read at the moment")]
    Unavailable,
    /// What it answers makes no sense.
    #[error("the order's stream makes no sense")]
    Corrupt,
    /// This process is stopping.
    #[error("no more reads, the process is stopping")]
    Stopped,
}

pub(crate) type Snapshot = Result<Option<Arc<History>>, Unread>;

pub(crate) struct Wanted {
    pub(crate) order: OrderId,
    pub(crate) answer: oneshot::Sender<Snapshot>,
}

/// Asks for histories.
#[derive(Clone)]
pub(crate) struct Snapshots(mpsc::Sender<Wanted>);

impl Snapshots {
    /// The asking side, and the queue that [`serve`] answers.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Wanted>) {
        let (wanted, queue) = mpsc::channel(STREAMS_PER_READ);
        (Self(wanted), queue)
    }

    /// The order's history by a read that begins after this call; none if there is no such order.
    ///
    /// # Errors
    /// [`Unread`], with the reason.
    pub(crate) async fn read(&self, order: OrderId) -> Snapshot {
        let (answer, answered) = oneshot::channel();
        self.0
            .send(Wanted { order, answer })
            .await
            .map_err(|_| Unread::Stopped)?;
        answered.await.map_err(|_| Unread::Stopped)?
    }
}

/// Answers until nobody can ask any more: what waits while one read is under way goes into the next.
pub(crate) async fn serve(mut queue: mpsc::Receiver<Wanted>, store: EventStore, metrics: Metrics) {
    let mut batch = Vec::with_capacity(STREAMS_PER_READ);
    while queue.recv_many(&mut batch, STREAMS_PER_READ).await > 0 {
        let mut wanted: HashMap<OrderId, Vec<oneshot::Sender<Snapshot>>> = HashMap::new();
        for Wanted { order, answer } in batch.drain(..).filter(|wanted| !wanted.answer.is_closed()) {
            wanted.entry(order).or_default().push(answer);
        }
        if wanted.is_empty() {
            continue;
        }
        metrics.read(wanted.len());
        let (orders, answers): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        let names: Vec<StreamName> = orders
            .iter()
            .map(|order| StreamName::from(order.stream()))
            .collect();
        let snapshots = match store.read_streams(&names).await {
            Ok(streams) => orders
                .iter()
                .zip(&streams)
                .map(|(order, events)| snapshot(*order, events))
                .collect(),
            Err(error) => {
                // The store has told of it.
                tracing::debug!(%error, streams = names.len(), "cannot read orders' histories");
                vec![Err(Unread::Unavailable); orders.len()]
            }
        };
        for (snapshot, answers) in snapshots.into_iter().zip(answers) {
            for answer in answers {
                // Whoever asked may have gone meanwhile.
                let _ = answer.send(snapshot.clone());
            }
        }
    }
}

fn snapshot(order: OrderId, events: &[Arc<RecordedEvent>]) -> Snapshot {
    if events.is_empty() {
        return Ok(None);
    }
    let history = decode::history(order, events).inspect_err(|error| {
        tracing::error!(order.id = %order, %error, "an order's stream makes no sense");
    });
    history
        .map(|history| Some(Arc::new(history)))
        .map_err(|_| Unread::Corrupt)
}
