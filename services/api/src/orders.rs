//! Orders as the GraphQL contract asks for them, on the event store and the bus.

use std::time::Duration;

use async_trait::async_trait;
use tiffin_bus::Bus;
use tiffin_eventstore::EventStore;
use tiffin_graphql::{Caller, Created, Error, Listed, Listing, NewOrder, OrderPort, OrderView};
use tiffin_order::{InvalidInput, OrderId};
use tiffin_trace::Tracer;

use crate::{admission::Admission, metrics::Metrics, tables::Tables};

/// The port behind queries and mutations.
#[derive(Clone)]
pub(crate) struct Orders {
    pub(crate) store: EventStore,
    pub(crate) bus: Bus,
    pub(crate) list: Tables,
    pub(crate) admission: Admission,
    /// How long an append may take, and a cancellation's verdict half of that: less than a request, whose answer can then
    /// say what to do.
    pub(crate) patience: Duration,
    pub(crate) metrics: Metrics,
    pub(crate) tracer: Tracer,
}

/// What a client is told of an input that breaks a rule.
pub(crate) fn wrong(invalid: InvalidInput) -> Error {
    let field = format!("input.{}", invalid.field);
    Error::from(invalid).field(field)
}

#[async_trait]
impl OrderPort for Orders {
    async fn create(&self, caller: &Caller, order: NewOrder) -> Result<Created, Error> {
        let created = self.place(caller, order).await;
        self.metrics.placed(&created);
        created
    }

    async fn cancel(&self, caller: &Caller, id: OrderId, note: Option<String>) -> Result<OrderView, Error> {
        let cancelled = self.call_off(caller, id, note).await;
        self.metrics.cancelled(&cancelled);
        cancelled
    }

    async fn order(&self, id: OrderId) -> Result<Option<OrderView>, Error> {
        self.read(id).await
    }

    async fn list(&self, listing: &Listing) -> Result<Listed, Error> {
        self.page(listing).await
    }
}
