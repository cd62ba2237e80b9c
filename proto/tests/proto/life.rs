//! The life of an order, as events on the wire.

use tiffin_order::{
    Actor, Input, NewFact, Note, Order, OrderId, Owner, Products, Reason, Workflow, decide, evolve,
};
use tiffin_proto::{Context, Encoded, encode};
use time::OffsetDateTime;

pub(crate) fn seed() -> Workflow {
    Workflow::parse(include_str!("../../../saga.toml")).unwrap()
}

pub(crate) fn id() -> OrderId {
    OrderId::parse("0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21").unwrap()
}

pub(crate) fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_755_648_000 + seconds).unwrap()
}

pub(crate) fn context() -> Context {
    Context {
        actor: Some(Actor::parse("web").unwrap()),
        trace: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
            .parse()
            .ok(),
        input_hash: Some([9; 32]),
    }
}

/// Decides and encodes; returns the order after it.
pub(crate) fn step(order: Order, input: Input, now: OffsetDateTime) -> (Order, NewFact, Encoded) {
    let new = decide(&order, input, &seed(), now).unwrap().remove(0);
    let encoded = encode(id(), &order, &new, &context());
    (evolve(order, &new.fact, now), new, encoded)
}

/// Every event that an order can have, each with the order before and after it.
pub(crate) fn life() -> Vec<(Order, NewFact, Encoded, Order, OffsetDateTime)> {
    let cancel = Input::Cancel {
        reason: Reason::CancelledByStaff,
        note: Note::parse("no dal left").unwrap(),
    };
    let park = Input::Park {
        what: "handler".into(),
        reason: "panicked".into(),
        attempts: 5,
    };
    let owner = Owner::parse("web").unwrap();
    let products = Products::parse([("Dal", 2), ("Roti", 4)]).unwrap();
    let inputs = [
        (0, Input::Create { owner, products }),
        (1, Input::Start),
        (31, Input::Wake),
        (32, park),
        (33, cancel),
    ];
    let mut order = Order::Absent;
    let mut life = Vec::new();
    for (second, input) in inputs {
        let before = order.clone();
        let (after, new, encoded) = step(order, input, at(second));
        order = after.clone();
        life.push((before, new, encoded, after, at(second)));
    }
    life
}
