//! An order as its stream tells it.

use std::sync::Arc;

use tiffin_eventstore::{RecordedEvent, StreamName};
use tiffin_graphql::{Error, ErrorCode, OrderView};
use tiffin_order::{Details, Order, OrderId};

use crate::{fault, orders::Orders};

impl Orders {
    /// The order as it is now, if there is one.
    pub(crate) async fn read(&self, id: OrderId) -> Result<Option<OrderView>, Error> {
        let events = self.events(id).await?;
        if events.is_empty() {
            Ok(None)
        } else {
            view(id, &events).map(Some)
        }
    }

    /// The order's whole stream; empty if there is no such order.
    pub(crate) async fn events(&self, id: OrderId) -> Result<Vec<Arc<RecordedEvent>>, Error> {
        let stream = StreamName::from(id.stream());
        let streams = self
            .store
            .read_streams(&[stream])
            .await
            .map_err(|error| fault::read(&error))?;
        Ok(streams.into_iter().next().unwrap_or_default())
    }
}

/// The order after these events, the first of its stream and some that follow.
///
/// What it was placed as stands in the first; all that changed since, in the envelopes, which can be read even where
/// a newer version wrote the event.
pub(crate) fn view(id: OrderId, events: &[Arc<RecordedEvent>]) -> Result<OrderView, Error> {
    let first = events.first().ok_or(ErrorCode::Internal)?;
    let placed = tiffin_proto::apply(
        Order::Absent,
        &first.kind,
        &first.data,
        &first.metadata,
        first.created_at,
    )
    .map_err(fault::event(first))?;
    let mut details = placed
        .details()
        .cloned()
        .ok_or_else(|| fault::unreadable(first))?;
    let recorded = events.iter().map(|event| {
        tiffin_proto::recorded(&event.data, &event.metadata, event.created_at).map_err(fault::event(event))
    });
    let timeline = tiffin_order::timeline(recorded.collect::<Result<Vec<_>, _>>()?);
    if let Some(last) = timeline.last() {
        let (status, version, reason) = (last.status, last.version, last.reason);
        details = Details {
            status,
            version,
            reason,
            updated_at: last.at,
            ..details
        };
    }
    Ok(OrderView {
        id,
        details,
        timeline,
    })
}
