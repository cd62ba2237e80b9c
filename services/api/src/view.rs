//! An order as its stream tells it.

use std::sync::Arc;

use tiffin_eventstore::{RecordedEvent, StreamName};
use tiffin_graphql::{Error, ErrorCode, OrderView};
use tiffin_order::{Change, Details, Order, OrderId};

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
    let timeline = timeline(events)?;
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

/// The timeline that these events of an order make.
pub(crate) fn timeline(events: &[Arc<RecordedEvent>]) -> Result<Vec<Change>, Error> {
    let recorded = events.iter().map(|event| {
        tiffin_proto::recorded(&event.data, &event.metadata, event.created_at).map_err(fault::event(event))
    });
    Ok(tiffin_order::timeline(recorded.collect::<Result<Vec<_>, _>>()?))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;
    use tiffin_eventstore::{Position, Revision};
    use tiffin_order::{Fact, NewFact, Owner, Products, Status, Version};
    use tiffin_proto::{Context, kind, v1};
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    const ID: OrderId = OrderId::new(Uuid::nil());

    fn recorded(revision: u64, kind: &str, data: Bytes, metadata: Bytes) -> Arc<RecordedEvent> {
        Arc::new(RecordedEvent {
            position: Position(1 + revision),
            stream: ID.stream().into(),
            stream_no: Position(1),
            revision: Revision(revision),
            id: Uuid::from_u128(revision.into()),
            kind: kind.into(),
            data,
            metadata,
            created_at: datetime!(2024-03-01 12:00 UTC) + time::Duration::seconds(revision.cast_signed()),
        })
    }

    fn placed() -> Arc<RecordedEvent> {
        let owner = Owner::parse("web").unwrap();
        let products = Products::parse([("Dal", 1)]).unwrap();
        let created = NewFact::from(Fact::Created { owner, products });
        let event = tiffin_proto::encode(ID, &Order::Absent, &created, &Context::default());
        recorded(0, event.kind, event.data, event.metadata)
    }

    fn from_a_newer_version(revision: u64, version: u32, status: v1::OrderStatus) -> Arc<RecordedEvent> {
        let metadata = v1::EventMetadata {
            schema_version: tiffin_proto::SCHEMA_VERSION + 1,
            envelope: Some(v1::Envelope {
                version,
                status: status.into(),
                ..v1::Envelope::default()
            }),
            ..v1::EventMetadata::default()
        };
        recorded(
            revision,
            "order-teleported",
            Bytes::new(),
            metadata.encode_to_vec().into(),
        )
    }

    #[test]
    fn a_change_by_a_newer_version_is_shown_as_its_envelope_says() {
        let internal = from_a_newer_version(1, 0, v1::OrderStatus::Unspecified);
        let visible = from_a_newer_version(2, 2, v1::OrderStatus::Delivered);
        let OrderView {
            details, timeline, ..
        } = view(ID, &[placed(), internal, visible.clone()]).unwrap();
        assert_eq!(details.status, Status::Delivered);
        assert_eq!(Some(details.version), Version::new(2));
        assert_eq!(details.updated_at, visible.created_at);
        assert_eq!(details.products[0].name.as_str(), "Dal");
        let versions: Vec<_> = timeline.iter().map(|change| change.version.get()).collect();
        assert_eq!(versions, [1, 2]);
    }

    #[test]
    fn an_order_placed_in_a_way_that_is_not_known_is_a_masked_fault() {
        let first = recorded(0, kind::ORDER_CREATED, Bytes::from_static(b"\xff"), Bytes::new());
        assert_eq!(view(ID, &[first]).unwrap_err(), ErrorCode::Internal.into());
    }
}
