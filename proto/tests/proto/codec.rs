//! The core's facts survive the way into the log and back, and each reader finds what it needs on the way.

use std::time::Duration;

use prost::Message;
use tiffin_order::{
    Actor, Fact, Input, NewFact, Note, Order, OrderId, Owner, Products, Reason, Status, Workflow, decide,
    evolve,
};
use tiffin_proto::{
    Context, DecodeError, Encoded, Envelope, Publication, apply, bus_payload, decode_bus, decode_fact,
    encode, encode_parked_message, encode_workflow, kind, parked_message, public, public_order, recorded, v1,
    workflow,
};
use time::OffsetDateTime;

fn seed() -> Workflow {
    Workflow::parse(include_str!("../../../saga.toml")).unwrap()
}

fn id() -> OrderId {
    OrderId::parse("0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21").unwrap()
}

fn at(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_755_648_000 + seconds).unwrap()
}

fn context() -> Context {
    Context {
        actor: Some(Actor::parse("web").unwrap()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        input_hash: Some([9; 32]),
    }
}

/// Decides and encodes; returns the order after it.
fn step(order: Order, input: Input, now: OffsetDateTime) -> (Order, NewFact, Encoded) {
    let new = decide(&order, input, &seed(), now).unwrap().remove(0);
    let encoded = encode(id(), &order, &new, &context());
    (evolve(order, &new.fact, now), new, encoded)
}

/// Every event that an order can have, each with the order before and after it.
fn life() -> Vec<(Order, NewFact, Encoded, Order, OffsetDateTime)> {
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

#[test]
fn what_was_decided_is_what_is_folded() {
    let kinds: Vec<_> = life().iter().map(|(.., encoded, _, _)| encoded.kind).collect();
    assert_eq!(
        kinds,
        [
            kind::ORDER_CREATED,
            kind::ORDER_STARTED,
            kind::ORDER_ADVANCED,
            kind::ORDER_PARKED,
            kind::ORDER_CANCELLED
        ]
    );
    for (before, new, Encoded { kind, data, metadata }, after, at) in life() {
        assert_eq!(decode_fact(kind, &data, &metadata), Ok(new.fact));
        assert_eq!(apply(before, kind, &data, &metadata, at), Ok(after));
    }
}

#[test]
fn the_public_part_tells_the_whole_order_without_the_fact() {
    for (before, _, Encoded { data, .. }, after, at) in life() {
        let shown = public(&data).and_then(|public| public_order(&public, at).unwrap());
        let visible = before.version() != after.version();
        let expected = visible.then(|| (id(), after.details().cloned().unwrap()));
        assert_eq!(shown, expected);
    }
}

#[test]
fn a_public_part_that_says_what_is_not_known_here_is_no_order() {
    let order = |change: fn(&mut v1::Order)| {
        let (_, _, Encoded { data, .. }, ..) = life().remove(0);
        let mut event = v1::Event::decode(public(&data).unwrap()).unwrap();
        if let Some(v1::event::Event::OrderCreated(v1::OrderCreated { order: Some(order) })) =
            &mut event.event
        {
            change(order);
        }
        public_order(&event.encode_to_vec(), at(0))
    };
    assert!(order(|_| ()).is_ok());
    assert!(order(|order| order.status = 99).is_err());
    assert!(order(|order| order.version = 0).is_err());
    assert!(order(|order| order.id.clear()).is_err());
    assert!(public_order(b"\xff", at(0)).is_err());
}

#[test]
fn the_envelope_tells_the_state_without_the_fact() {
    let told: Vec<_> = life()
        .iter()
        .map(|(.., encoded, _, _)| {
            let Envelope {
                version,
                status,
                reason,
                wake_after,
                ..
            } = Envelope::decode(&encoded.metadata).unwrap();
            (
                version.map_or(0, tiffin_order::Version::get),
                status,
                reason,
                wake_after,
            )
        })
        .collect();
    let expected = [
        (1, Some(Status::Pending), None, Some(Duration::from_secs(2))),
        (0, None, None, Some(Duration::from_secs(30))),
        (2, Some(Status::Paid), None, Some(Duration::from_secs(5))),
        (0, None, None, None),
        (3, Some(Status::Cancelled), Some(Reason::CancelledByStaff), None),
    ];
    assert_eq!(told, expected);
    let (.., encoded, _, _) = life().remove(0);
    let envelope = Envelope::decode(&encoded.metadata).unwrap();
    assert_eq!(envelope.actor, context().actor);
    assert_eq!(envelope.traceparent, context().traceparent);
    assert_eq!(envelope.input_hash, context().input_hash);
    assert_eq!(envelope.schema_version, 1);
}

#[test]
fn what_is_published_is_the_whole_order_with_the_time_appended() {
    let messages: Vec<_> = life()
        .into_iter()
        .map(|(.., encoded, _, at)| {
            public(&encoded.data).map(|public| decode_bus(&bus_payload(&public, at)).unwrap())
        })
        .collect();
    assert!(messages[1].is_none(), "a start is nothing to see");
    let created = messages[0].as_ref().unwrap();
    let Some(v1::event::Event::OrderCreated(v1::OrderCreated { order: Some(order) })) = &created.event else {
        panic!("{created:?}")
    };
    assert_eq!(
        (order.version, order.status(), order.products.len()),
        (1, v1::OrderStatus::Pending, 2)
    );
    assert_eq!((&order.created_at, &order.updated_at), (&None, &None));
    let cancelled = messages[4].as_ref().unwrap();
    let Some(v1::event::Event::OrderUpdated(v1::OrderUpdated { order: Some(order) })) = &cancelled.event
    else {
        panic!("{cancelled:?}")
    };
    assert_eq!((order.version, order.reason()), (3, v1::Reason::CancelledByStaff));
    assert_eq!(order.created_at, created.recorded_at);
    let parked = messages[3].as_ref().unwrap();
    assert!(matches!(&parked.event, Some(v1::event::Event::OrderParked(parked)) if parked.attempts == 5));
}

#[test]
fn a_message_is_headed_by_its_type_its_source_and_what_the_envelope_tells() {
    let headers: Vec<_> = life()
        .iter()
        .map(|(.., encoded, _, at)| {
            let publication = Publication::of(encoded.kind, &encoded.data, &encoded.metadata, *at)?;
            let headers = publication.headers("order.test", |_| true).into_iter().skip(1);
            Some(
                headers
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    let trace = format!("traceparent: {}", context().traceparent.unwrap());
    let headed = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        Some(words.chain([trace.clone()]).collect::<Vec<_>>())
    };
    let source = "ce-source: order.test";
    let expected = [
        headed(&[
            "ce-type: order.created",
            source,
            "order-status: PENDING",
            "order-version: 1",
        ]),
        None,
        headed(&[
            "ce-type: order.updated",
            source,
            "order-status: PAID",
            "order-version: 2",
        ]),
        headed(&["ce-type: order.parked", source]),
        headed(&[
            "ce-type: order.updated",
            source,
            "order-status: CANCELLED",
            "order-version: 3",
        ]),
    ];
    assert_eq!(headers, expected);
}

#[test]
fn a_trace_goes_along_only_where_it_is_wanted() {
    let (.., encoded, _, at) = life().remove(0);
    let publication = Publication::of(encoded.kind, &encoded.data, &encoded.metadata, at).unwrap();
    let headers = publication.headers("order.test", |_| false);
    assert!(
        headers.iter().all(|(name, _)| *name != "traceparent"),
        "{headers:?}"
    );
}

#[test]
fn what_is_published_is_written_like_one_message() {
    for (.., encoded, _, at) in life() {
        let Some(public) = public(&encoded.data) else {
            continue;
        };
        let payload = bus_payload(&public, at);
        assert_eq!(decode_bus(&payload).unwrap().encode_to_vec(), payload);
    }
}

#[test]
fn a_note_stands_in_the_personal_part_and_nowhere_else() {
    let (.., encoded, _, at) = life().remove(4);
    assert_eq!(
        recorded(&encoded.data, &encoded.metadata, at)
            .unwrap()
            .note
            .as_deref(),
        Some("no dal left")
    );
    let data = v1::EventData::decode(encoded.data.clone()).unwrap();
    for part in [&data.public, &data.fact, &encoded.metadata] {
        assert!(!part.windows(6).any(|window| window == b"no dal"));
    }
}

#[test]
fn an_event_of_a_newer_version_is_told_from_a_damaged_one() {
    let (before, _, Encoded { kind, data, metadata }, _, at) = life().remove(2);
    let newer = v1::EventMetadata {
        schema_version: 2,
        ..v1::EventMetadata::decode(metadata.clone()).unwrap()
    };
    for (kind, metadata) in [
        ("order-refunded", metadata.clone()),
        (kind, newer.encode_to_vec().into()),
    ] {
        assert!(matches!(
            decode_fact(kind, &data, &metadata),
            Err(DecodeError::Newer { .. })
        ));
        let folded = apply(before.clone(), kind, &data, &metadata, at).unwrap();
        assert_eq!(folded, before.clone().met_newer());
    }
    let damaged = v1::EventData {
        fact: vec![0xff; 9].into(),
        ..v1::EventData::decode(data.clone()).unwrap()
    };
    let empty = v1::EventData {
        fact: vec![].into(),
        ..damaged.clone()
    };
    for data in [damaged.encode_to_vec(), empty.encode_to_vec(), vec![0xff]] {
        let folded = apply(before.clone(), kind, &data.into(), &metadata, at);
        assert!(matches!(folded, Err(DecodeError::Corrupt(_))), "{folded:?}");
    }
    let swapped = decode_fact(kind::ORDER_CREATED, &data, &metadata);
    assert!(matches!(swapped, Err(DecodeError::Corrupt(_))), "{swapped:?}");
}

#[test]
fn a_fact_that_breaks_the_rules_of_the_core_is_damaged() {
    let (_, _, Encoded { kind, metadata, .. }, ..) = life().remove(0);
    let created = |owner: &str, name: &str, quantity| {
        let products = vec![v1::Product {
            name: name.to_owned(),
            quantity,
        }];
        let created = v1::Created {
            owner: owner.to_owned(),
            products,
        };
        let fact = v1::Fact {
            fact: Some(v1::fact::Fact::Created(created)),
        }
        .encode_to_vec()
        .into();
        v1::EventData {
            fact,
            ..Default::default()
        }
        .encode_to_vec()
        .into()
    };
    // The rules for names have become stricter; orders from before stay readable.
    for name in ["Dal", "Dal\u{200f}", ""] {
        let read = decode_fact(kind, &created("web", name, 1), &metadata);
        assert!(matches!(read, Ok(Fact::Created { .. })), "{name:?}: {read:?}");
    }
    for damaged in [
        created("", "Dal", 1),
        created("web", "Dal", 0),
        created("web", "Dal", 70_000),
    ] {
        assert!(matches!(
            decode_fact(kind, &damaged, &metadata),
            Err(DecodeError::Corrupt(_))
        ));
    }
}

#[test]
fn a_workflow_goes_into_the_log_and_comes_back() {
    let encoded = encode_workflow(&seed());
    assert_eq!(encoded.kind, kind::WORKFLOW_DEFINED);
    assert_eq!(
        Workflow::parse(&workflow(&encoded.data).unwrap()).unwrap(),
        seed()
    );
    assert_eq!(public(&encoded.data), None);
}

#[test]
fn a_message_is_set_aside_as_it_came() {
    let message = bytes::Bytes::from_static(b"\xff rubbish");
    let encoded = encode_parked_message("ab12", "order.created.x", message.clone(), "no protobuf");
    assert_eq!(parked_message(&encoded.data).unwrap(), message);
    let event = decode_bus(&public(&encoded.data).unwrap()).unwrap();
    assert!(matches!(event.event, Some(v1::event::Event::OrderParked(parked)) if parked.id == "ab12"));
}
