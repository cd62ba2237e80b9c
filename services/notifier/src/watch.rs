//! One subscription: from the order's history into what happens to it, each version once and in order.

use std::{sync::Arc, time::Duration};

use futures::{Stream, stream};
use tiffin_graphql::{Action, Error, ErrorCode, Principal, authorize};
use tiffin_graphql_transport::Next;
use tiffin_order::OrderId;
use tiffin_platform::spans;
use tiffin_trace::{Span, SpanKind, Tracer};

use crate::{
    hub::{Attachment, Found, Hub},
    metrics::{Metrics, Subscribed},
    plan::{Plan, Shape},
    slot::Slot,
    snapshots::{Snapshots, Unread},
    update::{History, Update},
};

/// How long to wait before a read that failed is tried again.
const RETRY: Duration = Duration::from_millis(250);

/// A subscriber's way through an order's versions.
pub(crate) struct Watch {
    order: OrderId,
    shape: Arc<Shape>,
    slot: Slot,
    attachment: Attachment,
    snapshots: Snapshots,
    /// What was read and is not yet sent.
    history: Option<Arc<History>>,
    finished: bool,
    metrics: Metrics,
    tracer: Tracer,
    /// The hand-over of the last update, which ends when the next is asked for.
    pushing: Span,
    _subscribed: Subscribed,
}

impl Watch {
    /// Attaches first and reads then, so that nothing falls between the two.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] where there is no such order or it is not this principal's; [`ErrorCode::Forbidden`]
    /// where its role may not watch; [`ErrorCode::Unavailable`] where the store cannot be read.
    pub(crate) async fn open(
        plan: Plan,
        principal: &Principal,
        hub: &Hub,
        snapshots: &Snapshots,
        metrics: &Metrics,
        tracer: &Tracer,
    ) -> Result<Self, Error> {
        authorize(principal, Action::Watch, None)?;
        let attachment = hub.attach(plan.order);
        let history = snapshots
            .read(plan.order)
            .await
            .map_err(refusal)?
            .ok_or(ErrorCode::NotFound)?;
        authorize(principal, Action::Watch, Some(&history.owner))?;
        Ok(Self {
            order: plan.order,
            shape: Arc::new(plan.shape),
            slot: Slot::open(plan.after, &history),
            attachment,
            snapshots: snapshots.clone(),
            history: Some(history),
            finished: false,
            metrics: metrics.clone(),
            tracer: tracer.clone(),
            pushing: Span::default(),
            _subscribed: metrics.subscribe(),
        })
    }

    /// The messages, ready-made, until after the order's last visible version; or until an error, which is then the
    /// last, where what follows cannot be told.
    pub(crate) fn messages(self) -> impl Stream<Item = Result<Next, Error>> + Send + 'static {
        stream::unfold(self, |mut watch| async move {
            let update = watch.next().await.inspect_err(|_| watch.finished = true);
            let next = update.transpose()?.map(|update| Next {
                payload: update.payload(&watch.shape),
                id: Some(update.change.version.into()),
            });
            Some((next, watch))
        })
    }

    async fn next(&mut self) -> Result<Option<Arc<Update>>, Error> {
        self.pushing = Span::default();
        while !self.finished {
            if let Some(history) = &self.history {
                if let Some(update) = history.at(self.slot.next()).cloned() {
                    return Ok(Some(self.send(update)));
                }
                self.finished = history.is_complete();
                self.history = None;
                continue;
            }
            match self.attachment.look(self.slot) {
                Found::Next(update) => {
                    self.metrics.pushed_live(update.change.at);
                    self.pushing = self.push(&update);
                    return Ok(Some(self.send(update)));
                }
                Found::Behind => self.catch_up().await?,
                Found::Nothing => self.attachment.changed().await,
            }
        }
        Ok(None)
    }

    /// What is pushed live is an effect of the change; what is read for a subscriber who comes, or lags, is one of the
    /// subscription, and has no span.
    fn push(&self, update: &Update) -> Span {
        let change = &update.change;
        let span = self
            .tracer
            .span(change.trace, SpanKind::Producer, "order.updated push");
        span.set(spans::ORDER_ID, change.order);
        span.set(spans::ORDER_STATUS, change.status);
        span.set_number(spans::ORDER_VERSION, change.version);
        span
    }

    fn send(&mut self, update: Arc<Update>) -> Arc<Update> {
        self.slot.advance(&update.change);
        self.finished = update.is_last();
        self.metrics.pushed();
        update
    }

    /// Reads what was missed, however long the store takes to answer.
    async fn catch_up(&mut self) -> Result<(), Error> {
        loop {
            self.attachment.about_to_read();
            match self.snapshots.read(self.order).await {
                Ok(Some(history)) => {
                    self.slot = self.slot.reopen(&history);
                    self.history = Some(history);
                    return Ok(());
                }
                // Only a log that was replaced by an older one no longer holds the order.
                Ok(None) => return Err(ErrorCode::NotFound.into()),
                Err(Unread::Unavailable) => tokio::time::sleep(RETRY).await,
                Err(unread) => return Err(refusal(unread)),
            }
        }
    }
}

fn refusal(unread: Unread) -> Error {
    match unread {
        Unread::Unavailable | Unread::Stopped => ErrorCode::Unavailable.into(),
        Unread::Corrupt => ErrorCode::Internal.into(),
    }
}
