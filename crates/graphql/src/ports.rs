//! What a service provides so that the schema can answer.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use tiffin_order::{Change, Details, OrderId, Reason, Status, Version};
use time::OffsetDateTime;

use crate::{Caller, Cursor, Error, Page};

/// A product as the client sent it, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProduct {
    /// Its name.
    pub name: String,
    /// How many of it.
    pub quantity: i32,
}

/// An order as the client sent it, not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// What is ordered.
    pub products: Vec<NewProduct>,
    /// Names the attempt: the same key never makes a second order.
    pub idempotency_key: Option<String>,
}

/// An order, with all that led there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    /// Which order.
    pub id: OrderId,
    /// What it is; its owner is never shown, but decides who may see the rest.
    pub details: Details,
    /// Every visible change, oldest first.
    pub timeline: Vec<Change>,
}

/// The answer to a new order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// The order as it was placed.
    pub order: OrderView,
    /// The key was used before, for the same order: this is the first answer again.
    pub replayed: bool,
}

/// What is asked of the list of orders, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Orders of these statuses, none twice; of all if it is empty.
    pub statuses: Vec<Status>,
    /// Orders placed at this time or later.
    pub created_from: Option<OffsetDateTime>,
    /// Orders placed before this time.
    pub created_to: Option<OffsetDateTime>,
    /// Which of these.
    pub page: Page,
    /// Whether their timelines are wanted; else they may be left empty.
    pub timelines: bool,
}

/// A page of the list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Each order with its place.
    pub orders: Vec<(Cursor, OrderView)>,
    /// The places of its first and its last order, which may be of those that this version cannot read and leaves out.
    pub ends: Option<(Cursor, Cursor)>,
    /// Whether older ones follow.
    pub has_next: bool,
    /// Whether newer ones precede.
    pub has_previous: bool,
}

/// One message to a subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Which order.
    pub id: OrderId,
    /// How far it is.
    pub status: Status,
    /// When that came about.
    pub updated_at: OffsetDateTime,
    /// Its version; none for a notification that is not stored.
    pub version: Option<Version>,
    /// Why it ended early.
    pub reason: Option<Reason>,
}

/// Places, cancels and reads orders. The resolvers decide who may; the port does as it is told.
#[async_trait]
pub trait OrderPort: Send + Sync {
    /// Places an order for the caller, and returns once it is committed.
    async fn create(&self, caller: &Caller, order: NewOrder) -> Result<Created, Error>;

    /// Cancels an order and returns it as it then is. Cancelling a cancelled order is answered like the first time.
    async fn cancel(&self, caller: &Caller, id: OrderId, note: Option<String>) -> Result<OrderView, Error>;

    /// The order as it is now, if there is one; whoever reads sees their own writes.
    async fn order(&self, id: OrderId) -> Result<Option<OrderView>, Error>;

    /// A page of all orders, newest first. It may lag behind what was answered for.
    async fn list(&self, listing: &Listing) -> Result<Listed, Error>;
}

/// Follows orders live. The port decides who may, since it reads the order.
///
/// The notifier answers subscriptions without the engine; its tests hold each of its answers against the engine's own,
/// which come through this port.
#[async_trait]
pub trait UpdatePort: Send + Sync {
    /// The order's state now (`after` is `None`) or every change after that version, then each later one, until the
    /// last.
    async fn subscribe(
        &self,
        caller: &Caller,
        id: OrderId,
        after: Option<u32>,
    ) -> Result<BoxStream<'static, Update>, Error>;
}

/// The ports of one service. One that is not given is answered for with the fitting code.
#[derive(Clone, Default)]
pub struct Ports {
    /// For queries and mutations.
    pub orders: Option<Arc<dyn OrderPort>>,
    /// For subscriptions.
    pub updates: Option<Arc<dyn UpdatePort>>,
}
