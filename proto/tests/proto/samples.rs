//! One value of every message, with every field set.

use bytes::Bytes;
use prost::{Message, Name};
use prost_types::{Duration, Timestamp};
use tiffin_proto::v1::{
    CancelOrderRequest, CancelOrderResponse, Cancelled, Cause, Created, Envelope, Error, Event, EventData,
    EventMetadata, Events, Fact, GetOrderRequest, GetOrderResponse, GetRebuildingRequest,
    GetRebuildingResponse, LoggedEvent, MessageParked, OpenStep, Order, OrderCreated, OrderParked,
    OrderStatus, OrderUpdated, Parked, Personal, Product, ReadEventsRequest, ReadEventsResponse, Reason,
    RebuildOrdersRequest, RebuildOrdersResponse, Rebuilding, RepublishRequest, RepublishResponse,
    Republishing, Started, Step, Transition, WorkflowDefined, cancel_order_response, event, fact,
    get_order_response, get_rebuilding_response, read_events_response, rebuild_orders_response,
    republish_response,
};

const ID: &str = "0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21";

type Reader = Box<dyn Fn(&[u8]) -> bool>;

/// A message by name: how today's build writes it, and whether it reads given bytes as the same value.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) reads_the_same: Reader,
}

fn sample<M: Message + Name + Default + PartialEq + 'static>(variant: &str, message: M) -> Sample {
    let suffix = if variant.is_empty() {
        String::new()
    } else {
        format!(".{variant}")
    };
    Sample {
        name: format!("{}{suffix}", M::NAME),
        bytes: message.encode_to_vec(),
        reads_the_same: Box::new(move |bytes| M::decode(bytes).is_ok_and(|read| read == message)),
    }
}

fn order() -> Order {
    Order {
        id: ID.to_owned(),
        owner: "web".to_owned(),
        status: OrderStatus::Cancelled.into(),
        products: vec![product("Dal", 2), product("Roti", 1000)],
        version: 3,
        reason: Reason::CancelledByCustomer.into(),
        created_at: Some(time(0)),
        updated_at: Some(time(30)),
    }
}

fn product(name: &str, quantity: u32) -> Product {
    Product {
        name: name.to_owned(),
        quantity,
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp {
        seconds: 1_755_648_000 + seconds,
        nanos: 123_456_000,
    }
}

fn error() -> Error {
    Error {
        code: "NOT_FOUND".to_owned(),
        message: "m".to_owned(),
        hint: "h".to_owned(),
    }
}

fn transition() -> Transition {
    Transition {
        status: OrderStatus::Paid.into(),
        cause: Cause::Elapsed.into(),
        step: Step::Payment.into(),
        next: Some(open_step()),
    }
}

fn open_step() -> OpenStep {
    OpenStep {
        step: Step::Confirmation.into(),
        attempt: 1,
        wait: Some(Duration {
            seconds: 5,
            nanos: 1000,
        }),
    }
}

fn order_parked() -> OrderParked {
    let (what, reason) = ("handler".to_owned(), "panicked".to_owned());
    OrderParked {
        id: ID.to_owned(),
        what,
        reason,
        attempts: 5,
    }
}

fn envelope() -> Envelope {
    Envelope {
        version: 2,
        status: OrderStatus::Paid.into(),
        reason: Reason::CancelledByStaff.into(),
        wake_after: Some(Duration { seconds: 5, nanos: 0 }),
    }
}

fn facts() -> Vec<(&'static str, fact::Fact)> {
    let created = Created {
        owner: "web".to_owned(),
        products: vec![product("Dal", 2)],
    };
    let started = Started {
        workflow: vec![7; 32].into(),
        transition: Some(transition()),
    };
    let parked = Parked {
        what: "handler".to_owned(),
        reason: "panicked".to_owned(),
        attempts: 5,
    };
    vec![
        ("created", fact::Fact::Created(created)),
        ("started", fact::Fact::Started(started)),
        ("advanced", fact::Fact::Advanced(transition())),
        (
            "cancelled",
            fact::Fact::Cancelled(Cancelled {
                reason: Reason::CancelledByStaff.into(),
            }),
        ),
        ("parked", fact::Fact::Parked(parked)),
        (
            "workflow_defined",
            fact::Fact::WorkflowDefined(WorkflowDefined {
                text: "[[step]]".to_owned(),
            }),
        ),
        (
            "message_parked",
            fact::Fact::MessageParked(MessageParked {
                subject: "order.created.x".to_owned(),
                reason: "no protobuf".to_owned(),
            }),
        ),
    ]
}

fn events() -> Vec<(&'static str, event::Event)> {
    vec![
        (
            "order_created",
            event::Event::OrderCreated(OrderCreated { order: Some(order()) }),
        ),
        (
            "order_updated",
            event::Event::OrderUpdated(OrderUpdated { order: Some(order()) }),
        ),
        ("order_parked", event::Event::OrderParked(order_parked())),
    ]
}

fn plain() -> Vec<Sample> {
    vec![
        sample("", product("Dal", 2)),
        sample("", order()),
        sample("", OrderCreated { order: Some(order()) }),
        sample("", OrderUpdated { order: Some(order()) }),
        sample("", order_parked()),
        sample("", envelope()),
        sample("", transition()),
        sample("", open_step()),
        sample("", error()),
    ]
}

fn log() -> Vec<Sample> {
    let bytes = Bytes::from_static;
    let metadata = EventMetadata {
        schema_version: 1,
        actor: "kitchen-1".to_owned(),
        traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
        input_hash: vec![9; 32].into(),
        envelope: Some(envelope()),
    };
    vec![
        sample(
            "",
            EventData {
                public: bytes(b"p"),
                fact: bytes(b"f"),
                personal: bytes(b"n"),
            },
        ),
        sample("", metadata),
        sample(
            "",
            Personal {
                note: "leave it at the door".to_owned(),
                message: bytes(b"\xff\x00"),
            },
        ),
    ]
}

fn requests() -> Vec<Sample> {
    let cancel = CancelOrderRequest {
        id: ID.to_owned(),
        note: "no dal left".to_owned(),
        actor: "kitchen-1".to_owned(),
        reason: Reason::CancelledByStaff.into(),
    };
    vec![
        sample("", GetOrderRequest { id: ID.to_owned() }),
        sample(
            "order",
            GetOrderResponse {
                result: Some(get_order_response::Result::Order(order())),
            },
        ),
        sample(
            "error",
            GetOrderResponse {
                result: Some(get_order_response::Result::Error(error())),
            },
        ),
        sample("", cancel),
        sample(
            "order",
            CancelOrderResponse {
                result: Some(cancel_order_response::Result::Order(order())),
            },
        ),
        sample(
            "error",
            CancelOrderResponse {
                result: Some(cancel_order_response::Result::Error(error())),
            },
        ),
    ]
}

fn lists() -> Vec<Sample> {
    let rebuilding = Rebuilding {
        id: 7,
        done: true,
        events: 41_000,
        of: 1_000_000,
    };
    let begun = |result| RebuildOrdersResponse { result: Some(result) };
    let come = |result| GetRebuildingResponse { result: Some(result) };
    vec![
        sample("", rebuilding),
        sample("", RebuildOrdersRequest {}),
        sample("", GetRebuildingRequest { id: 7 }),
        sample(
            "rebuilding",
            begun(rebuild_orders_response::Result::Rebuilding(rebuilding)),
        ),
        sample("error", begun(rebuild_orders_response::Result::Error(error()))),
        sample(
            "rebuilding",
            come(get_rebuilding_response::Result::Rebuilding(rebuilding)),
        ),
        sample("error", come(get_rebuilding_response::Result::Error(error()))),
    ]
}

fn reading() -> Vec<Sample> {
    let logged = LoggedEvent {
        position: 41_000,
        cursor: "41000-x".to_owned(),
        recorded_at: Some(time(30)),
        id: ID.to_owned(),
        kind: "order-cancelled".to_owned(),
        stream: format!("order-{ID}"),
        order: ID.to_owned(),
        version: 3,
        status: OrderStatus::Cancelled.into(),
        reason: Reason::CancelledByStaff.into(),
        actor: "kitchen-1".to_owned(),
    };
    let events = Events {
        events: vec![logged.clone()],
        cursor: "41000-x".to_owned(),
    };
    let request = ReadEventsRequest {
        after: "start".to_owned(),
        order: ID.to_owned(),
        limit: 20,
        wait_ms: 1500,
    };
    let read = |result| ReadEventsResponse { result: Some(result) };
    let republish = RepublishRequest {
        name: "shop".to_owned(),
        from: "start".to_owned(),
        after: "41000-x".to_owned(),
        order: ID.to_owned(),
        messages: 0,
    };
    let further = RepublishRequest {
        messages: 30_000,
        ..republish.clone()
    };
    let republishing = Republishing {
        cursor: "41000-x".to_owned(),
        position: 41_000,
        of: 1_000_000,
        messages: 40_000,
        stream: "ORDER_AGAIN".to_owned(),
        subjects: "again.shop.>".to_owned(),
    };
    let again = |result| RepublishResponse { result: Some(result) };
    vec![
        sample("", republish),
        sample("further", further),
        sample("", republishing.clone()),
        sample(
            "republishing",
            again(republish_response::Result::Republishing(republishing)),
        ),
        sample("error", again(republish_response::Result::Error(error()))),
        sample("", logged),
        sample("", events.clone()),
        sample("", request),
        sample("events", read(read_events_response::Result::Events(events))),
        sample("error", read(read_events_response::Result::Error(error()))),
    ]
}

/// Every sample: of a message with a choice, one for each.
pub(crate) fn samples() -> Vec<Sample> {
    let mut samples: Vec<_> = [plain(), log(), requests(), lists(), reading()]
        .into_iter()
        .flatten()
        .collect();
    for (variant, fact) in facts() {
        match fact.clone() {
            fact::Fact::Created(message) => samples.push(sample("", message)),
            fact::Fact::Started(message) => samples.push(sample("", message)),
            fact::Fact::Advanced(_) => {}
            fact::Fact::Cancelled(message) => samples.push(sample("", message)),
            fact::Fact::Parked(message) => samples.push(sample("", message)),
            fact::Fact::WorkflowDefined(message) => samples.push(sample("", message)),
            fact::Fact::MessageParked(message) => samples.push(sample("", message)),
        }
        samples.push(sample(variant, Fact { fact: Some(fact) }));
    }
    for (variant, event) in events() {
        samples.push(sample(
            variant,
            Event {
                event: Some(event),
                recorded_at: Some(time(30)),
            },
        ));
    }
    samples
}
