//! An order that is moved by hand.

use std::time::Duration;

use tiffin_eventstore::{Append, EventStore, Expected, NewEvent, Revision, Urgency};
use tiffin_order::{Input, Order, OrderId, Owner, Products, Reason, Version, Workflow, decide, evolve};
use tiffin_proto::{Context, encode as encode_fact};
use uuid::Uuid;

const INSTANT: &str = r#"
[[step]]
name = "payment"
kind = "wait"
wait = "0s"
[[step]]
name = "confirmation"
kind = "wait"
wait = "0s"
[[step]]
name = "ready"
kind = "wait"
wait = "0s"
[[step]]
name = "delivery"
kind = "wait"
wait = "0s"
"#;

/// An order that is moved by hand.
pub(crate) struct Placed {
    store: EventStore,
    pub(crate) id: OrderId,
    order: Order,
    revision: Option<Revision>,
    workflow: Workflow,
}

impl Placed {
    /// An order of `owner` at version 1.
    pub(crate) async fn by(owner: &str, store: &EventStore) -> Self {
        let mut placed = Self {
            store: store.clone(),
            id: OrderId::new(Uuid::now_v7()),
            order: Order::Absent,
            revision: None,
            workflow: Workflow::parse(INSTANT).unwrap(),
        };
        let owner = Owner::parse(owner).unwrap();
        let products = Products::parse([("Pad Thai", 2)]).unwrap();
        placed.record(Input::Create { owner, products }).await;
        placed
    }

    /// On to the next version.
    pub(crate) async fn advance(&mut self) {
        let input = if self.version() == 1 {
            Input::Start
        } else {
            Input::Wake
        };
        self.record(input).await;
    }

    pub(crate) async fn advance_to_the_end(&mut self) {
        while self.version() < 5 {
            self.advance().await;
        }
    }

    pub(crate) async fn cancel(&mut self) {
        self.record(Input::Cancel {
            reason: Reason::CancelledByStaff,
            note: None,
        })
        .await;
    }

    pub(crate) fn version(&self) -> u32 {
        self.order.version().map_or(0, Version::get)
    }

    async fn record(&mut self, input: Input) {
        let before = self.version();
        let facts = decide(
            &self.order,
            input,
            &self.workflow,
            self.store.now() + Duration::from_secs(1),
        )
        .unwrap();
        for fact in facts {
            let encoded = encode_fact(self.id, &self.order, &fact, &Context::default());
            let event = NewEvent {
                id: Uuid::now_v7(),
                kind: encoded.kind.into(),
                data: encoded.data,
                metadata: encoded.metadata,
            };
            let append = Append {
                stream: self.id.stream().into(),
                expected: self.revision.map_or(Expected::NoStream, Expected::Exact),
                events: vec![event],
                urgency: Urgency::Continue,
            };
            let appended = self.store.append(append).await.unwrap();
            let recorded = &appended.events[0];
            self.order = evolve(
                std::mem::replace(&mut self.order, Order::Absent),
                &fact.fact,
                recorded.created_at,
            );
            self.revision = Some(recorded.revision);
        }
        assert_eq!(self.version(), before + 1);
    }
}
