//! The order as everybody but the core sees it.

use tiffin_order::{Details, OrderId, Products, Reason};

use crate::{
    v1,
    words::{reason_from_wire, reason_to_wire, status_to_wire, timestamp},
};

/// The whole order as the answer to a request: with both its times.
pub fn order_message(id: OrderId, details: &Details) -> v1::Order {
    v1::Order {
        created_at: Some(timestamp(details.created_at)),
        updated_at: Some(timestamp(details.updated_at)),
        ..timeless(id, details)
    }
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
