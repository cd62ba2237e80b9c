//! What the log and the bus say comes to the same, whatever else is in them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tiffin_eventstore::{Position, RecordedEvent, Revision};
use tiffin_order::{
    Cause, Fact, NewFact, Open, Order, Owner, Products, Reason, Status, StepName, Transition, WorkflowId,
    evolve,
};
use tiffin_proto::{Context, bus_payload, encode, public};
use time::macros::datetime;
use uuid::Uuid;

use super::ORDER;
use crate::{
    decode::{News, history, logged, published},
    update::Change,
};

fn facts() -> Vec<Fact> {
    let products = Products::parse([("Pad Thai", 2)]).unwrap();
    let waits = |step| {
        Some(Open {
            step,
            attempt: 1,
            wait: Duration::from_secs(1),
        })
    };
    let started = Transition {
        status: None,
        cause: Cause::Start,
        next: waits(StepName::Payment),
    };
    let paid = Transition {
        status: Some(Status::Paid),
        cause: Cause::Elapsed(StepName::Payment),
        next: waits(StepName::Confirmation),
    };
    vec![
        Fact::Created {
            owner: Owner::parse("web").unwrap(),
            products,
        },
        Fact::Started {
            workflow: WorkflowId::new([7; 32]),
            transition: started,
        },
        Fact::Advanced(paid),
        Fact::Cancelled {
            reason: Reason::CancelledByStaff,
        },
    ]
}

/// The events that record these facts, one second apart.
fn stream(facts: &[Fact]) -> Vec<Arc<RecordedEvent>> {
    let mut order = Order::Absent;
    let mut at = datetime!(2024-03-01 18:30:00.123_456 UTC);
    let mut events = Vec::new();
    for (revision, fact) in (0..).zip(facts) {
        let encoded = encode(ORDER, &order, &NewFact::from(fact.clone()), &Context::default());
        events.push(Arc::new(RecordedEvent {
            position: Position(10 + revision),
            stream: ORDER.stream().into(),
            stream_no: Position(10),
            revision: Revision(revision),
            id: Uuid::from_u128(revision.into()),
            kind: encoded.kind.into(),
            data: encoded.data,
            metadata: encoded.metadata,
            created_at: at,
        }));
        order = evolve(order, fact, at);
        at += time::Duration::SECOND;
    }
    events
}

#[test]
fn a_history_holds_what_a_customer_could_see() {
    let events = stream(&facts());
    let history = history(ORDER, &events).unwrap();
    assert_eq!(history.owner.as_str(), "web");
    let seen: Vec<_> = (1..=3)
        .map(|version| history.at(version).unwrap().change.clone())
        .collect();
    assert_eq!(
        seen.iter().map(|change| change.status).collect::<Vec<_>>(),
        [Status::Pending, Status::Paid, Status::Cancelled]
    );
    assert_eq!(seen[1].at, events[2].created_at);
    assert_eq!(seen[2].reason, Some(Reason::CancelledByStaff));
    assert!(history.at(4).is_none() && history.is_complete());
}

#[test]
fn log_and_bus_tell_the_same() {
    for event in stream(&facts()).iter().skip(1) {
        let from_log = logged(event);
        let Some(public) = public(&event.data) else {
            assert_eq!(from_log, News::Nothing, "{}", event.kind);
            continue;
        };
        let payload = bus_payload(&public, event.created_at);
        assert_eq!(
            published(&format!("order.updated.{ORDER}"), &payload, event.id),
            from_log
        );
        assert!(matches!(from_log, News::Change(Change { order: ORDER, .. })));
    }
}

#[test]
fn an_event_type_that_is_not_known_passes_unharmed() {
    let mut events = stream(&facts());
    let paid = RecordedEvent {
        kind: "order-praised".into(),
        ..(*events[2]).clone()
    };
    assert!(matches!(
        logged(&paid),
        News::Change(Change {
            version: 2,
            status: Status::Paid,
            ..
        })
    ));
    events[2] = Arc::new(paid);
    assert_eq!(history(ORDER, &events).unwrap().version(), 3);
}

#[test]
fn what_makes_no_sense_sends_its_watchers_to_the_store() {
    let events = stream(&facts());
    let damaged = RecordedEvent {
        metadata: Bytes::from_static(b"\xff"),
        ..(*events[2]).clone()
    };
    assert_eq!(logged(&damaged), News::Unclear(ORDER));
    for payload in [&b"\xff"[..], b""] {
        assert_eq!(
            published(&format!("order.updated.{ORDER}"), payload, Uuid::nil()),
            News::Unclear(ORDER)
        );
    }
    let missing = [events[0].clone(), events[3].clone()];
    assert!(history(ORDER, &missing).is_err());
}

#[test]
fn other_subjects_and_streams_are_nothing_to_anybody() {
    for subject in [
        "order.stuck.x",
        &format!("order.parked.{ORDER}"),
        "order.updated.x",
    ] {
        assert_eq!(published(subject, b"", Uuid::nil()), News::Nothing);
    }
    let other = RecordedEvent {
        stream: "workflow-00".into(),
        ..(*stream(&facts())[0]).clone()
    };
    assert_eq!(logged(&other), News::Nothing);
}
