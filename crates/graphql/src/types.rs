//! The schema's objects, inputs and enumerations.

use async_graphql::{Enum, ID, InputObject, SimpleObject};
use tiffin_order::{Change, Reason, Status, Version};

use crate::{AwsDateTime, OrderView, Update};

/// How far an order is.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
#[graphql(remote = "Status")]
pub enum OrderStatus {
    /// Placed, not yet paid.
    Pending,
    /// Paid; the kitchen has not begun.
    Paid,
    /// The kitchen is at it.
    Preparing,
    /// On its way; it can no longer be cancelled.
    OutForDelivery,
    /// Arrived. The order is finished.
    Delivered,
    /// Ended early, for the order's `reason`. The order is finished.
    Cancelled,
}

/// A product and how many of it.
#[derive(SimpleObject, Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its name.
    pub name: String,
    /// How many.
    pub quantity: i32,
}

/// An order for a meal.
#[derive(SimpleObject, Clone, Debug)]
pub struct Order {
    /// Its id, a UUID.
    pub id: ID,
    /// How far it is.
    pub status: OrderStatus,
    /// What was ordered.
    pub products: Vec<Option<Product>>,
    /// When it was placed.
    pub created_at: AwsDateTime,
    /// When it last changed.
    pub updated_at: AwsDateTime,
    /// Counts its changes, from 1 and without gaps.
    pub version: i32,
    /// Why it ended early, as a code: `CANCELLED_BY_CUSTOMER` or `CANCELLED_BY_STAFF`; null otherwise. More codes may
    /// be added.
    pub reason: Option<String>,
    /// Every change so far, oldest first.
    pub timeline: Vec<OrderChange>,
}

/// One change of an order.
#[derive(SimpleObject, Clone, Debug)]
pub struct OrderChange {
    /// The order's version since then; null where nothing changed that has a version.
    pub version: Option<i32>,
    /// The order's status since then.
    pub status: OrderStatus,
    /// When.
    pub at: AwsDateTime,
    /// Who caused it, where somebody did.
    pub actor: Option<String>,
    /// Why, as a code.
    pub reason: Option<String>,
    /// What that person wrote.
    pub note: Option<String>,
}

/// An order's new state, as it is pushed to those who watch it.
#[derive(SimpleObject, Clone, Debug)]
pub struct OrderUpdated {
    /// The order's id.
    pub id: ID,
    /// How far it is.
    pub status: OrderStatus,
    /// When that came about.
    pub updated_at: AwsDateTime,
    /// The order's version.
    pub version: Option<i32>,
    /// Why it ended early, as a code.
    pub reason: Option<String>,
}

/// A product to order.
#[derive(InputObject, Clone, Debug)]
pub struct ProductInput {
    /// Its name: 1 to 200 characters, not counting spaces around it.
    pub name: String,
    /// How many: 1 to 1,000.
    pub quantity: i32,
}

/// An order to place.
#[derive(InputObject, Clone, Debug)]
pub struct CreateOrderInput {
    /// What to order: 1 to 100 products, their names together at most 8 KiB.
    pub products: Vec<ProductInput>,
    /// Makes repeating safe: the same key with the same input never makes a second order, and gets the first answer
    /// again, however late. 16 to 255 printable characters, for instance a
    /// UUID.
    pub idempotency_key: Option<ID>,
}

/// An order to cancel.
#[derive(InputObject, Clone, Debug)]
pub struct CancelOrderInput {
    /// The order's id.
    pub id: ID,
    /// A note for the order's timeline: at most 500 characters.
    pub note: Option<String>,
}

impl From<OrderView> for Order {
    fn from(
        OrderView {
            id,
            details,
            timeline,
        }: OrderView,
    ) -> Self {
        let product = |product: &tiffin_order::Product| Product {
            name: product.name.as_str().to_owned(),
            quantity: product.quantity.get().into(),
        };
        Self {
            id: id.to_string().into(),
            status: details.status.into(),
            products: details.products.iter().map(product).map(Some).collect(),
            created_at: AwsDateTime(details.created_at),
            updated_at: AwsDateTime(details.updated_at),
            version: number(details.version),
            reason: details.reason.map(code),
            timeline: timeline.into_iter().map(OrderChange::from).collect(),
        }
    }
}

impl From<Change> for OrderChange {
    fn from(change: Change) -> Self {
        Self {
            version: Some(number(change.version)),
            status: change.status.into(),
            at: AwsDateTime(change.at),
            actor: change.actor.map(|actor| actor.as_str().to_owned()),
            reason: change.reason.map(code),
            note: change.note.map(|note| note.as_ref().to_owned()),
        }
    }
}

impl From<Update> for OrderUpdated {
    fn from(update: Update) -> Self {
        Self {
            id: update.id.to_string().into(),
            status: update.status.into(),
            updated_at: AwsDateTime(update.updated_at),
            version: update.version.map(number),
            reason: update.reason.map(code),
        }
    }
}

fn number(version: Version) -> i32 {
    i32::try_from(version.get()).unwrap_or(i32::MAX)
}

fn code(reason: Reason) -> String {
    reason.as_str().to_owned()
}
