//! The order as everybody but the core sees it.

use prost::Message;
use tiffin_order::{Details, OrderId, Owner, Products, Reason, Version};
use time::OffsetDateTime;

use crate::{
    decode::{DecodeError, corrupt},
    v1,
    words::{reason_from_wire, reason_to_wire, status_from_wire, status_to_wire, time_from_wire, timestamp},
};

/// The whole order as the answer to a request: with both its times.
pub fn order_message(id: OrderId, details: &Details) -> v1::Order {
    v1::Order {
        created_at: Some(timestamp(details.created_at)),
        updated_at: Some(timestamp(details.updated_at)),
        ..timeless(id, details)
    }
}

/// The whole order as the public part of an event shows it, which was recorded at `recorded_at`; `None` if that is not
/// about an order's state. Whatever the event's type, which need not be known.
pub fn public_order(
    public: &[u8],
    recorded_at: OffsetDateTime,
) -> Result<Option<(OrderId, Details)>, DecodeError> {
    use v1::event::Event::{OrderCreated, OrderParked, OrderUpdated};
    let order = match v1::Event::decode(public)?.event {
        Some(OrderCreated(v1::OrderCreated { order }) | OrderUpdated(v1::OrderUpdated { order })) => order,
        Some(OrderParked(_)) | None => return Ok(None),
    };
    let order = order.ok_or_else(|| corrupt("no order"))?;
    let lines = order.products.iter();
    let details = Details {
        owner: Owner::parse(&order.owner).map_err(corrupt)?,
        products: Products::recorded(lines.map(|line| (line.name.as_str(), line.quantity.into())))
            .map_err(corrupt)?,
        status: status_from_wire(order.status).ok_or_else(|| corrupt("unknown status"))?,
        version: Version::new(order.version).ok_or_else(|| corrupt("no version"))?,
        reason: reason_from_wire(order.reason),
        created_at: match &order.created_at {
            Some(at) => time_from_wire(at).ok_or_else(|| corrupt("no time"))?,
            None => recorded_at,
        },
        updated_at: recorded_at,
    };
    Ok(Some((OrderId::parse(&order.id).map_err(corrupt)?, details)))
}

/// On whose side a request to cancel is; the staff's if it does not say, `None` if it says what is unknown here.
pub fn cancel_reason(request: &v1::CancelOrderRequest) -> Option<Reason> {
    if request.reason == 0 {
        Some(Reason::CancelledByStaff)
    } else {
        reason_from_wire(request.reason)
    }
}

pub(crate) fn timeless(id: OrderId, details: &Details) -> v1::Order {
    v1::Order {
        id: id.to_string(),
        owner: details.owner.to_string(),
        status: status_to_wire(details.status).into(),
        products: products_to_wire(&details.products),
        version: details.version.get(),
        reason: details.reason.map_or(0, |reason| reason_to_wire(reason).into()),
        created_at: None,
        updated_at: None,
    }
}

pub(crate) fn products_to_wire(products: &Products) -> Vec<v1::Product> {
    products
        .iter()
        .map(|product| v1::Product {
            name: product.name.as_str().to_owned(),
            quantity: product.quantity.get().into(),
        })
        .collect()
}
