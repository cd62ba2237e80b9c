//! The core's facts survive the way into the log and back.

use prost::Message;
use tiffin_order::{Fact, Workflow};
use tiffin_proto::{
    DecodeError, Encoded, apply, decode_fact, encode_workflow, kind, public, recorded, v1, workflow,
};

use crate::life::{life, seed};

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
