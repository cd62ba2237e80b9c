//! What others than the core read of an event: the public part, the envelope, the message on the bus.

use std::time::Duration;

use prost::Message;
use tiffin_order::{Fact, NewFact, Order, Owner, Products, Reason, Status};
use tiffin_proto::{
    Context, Encoded, Envelope, Publication, bus_payload, decode_bus, encode, encode_parked_message,
    parked_message, public, public_order, v1,
};

use crate::life::{at, context, id, life};

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
fn a_name_that_was_accepted_once_is_shown_whatever_the_rules_are_now() {
    let lines = [("two\nlines", 1)];
    assert!(Products::parse(lines).is_err());
    let created = NewFact::from(Fact::Created {
        owner: Owner::parse("web").unwrap(),
        products: Products::recorded(lines).unwrap(),
    });
    let event = encode(id(), &Order::Absent, &created, &Context::default());
    let (_, shown) = public_order(&public(&event.data).unwrap(), at(0))
        .unwrap()
        .unwrap();
    assert_eq!(shown.products[0].name.as_str(), "two\nlines");
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
    assert_eq!(Context::decode(&encoded.metadata).unwrap(), context());
    let metadata = v1::EventMetadata::decode(encoded.metadata).unwrap();
    assert_eq!(metadata.schema_version, 1);
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
            let headers = publication
                .headers("order.test", publication.trace().map(|trace| trace.to_string()))
                .into_iter()
                .skip(1);
            Some(
                headers
                    .map(|(name, value)| format!("{name}: {value}"))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    let trace = format!("traceparent: {}", context().trace.unwrap());
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
    let headers = publication.headers("order.test", None);
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
fn a_message_is_set_aside_as_it_came() {
    let message = bytes::Bytes::from_static(b"\xff rubbish");
    let encoded = encode_parked_message("ab12", "order.created.x", message.clone(), "no protobuf");
    assert_eq!(parked_message(&encoded.data).unwrap(), message);
    let event = decode_bus(&public(&encoded.data).unwrap()).unwrap();
    assert!(matches!(event.event, Some(v1::event::Event::OrderParked(parked)) if parked.id == "ab12"));
}
