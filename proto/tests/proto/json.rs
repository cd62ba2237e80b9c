//! Requests and answers as JSON.

use tiffin_proto::{from_json, to_json, v1};

#[test]
fn a_request_may_be_json() {
    let request: v1::CancelOrderRequest =
        from_json(br#"{"id":"x","note":"late","reason":"REASON_CANCELLED_BY_CUSTOMER"}"#).unwrap();
    assert_eq!((request.id.as_str(), request.note.as_str()), ("x", "late"));
    assert_eq!(request.reason(), v1::Reason::CancelledByCustomer);
    assert_eq!(
        tiffin_proto::cancel_reason(&request),
        Some(tiffin_order::Reason::CancelledByCustomer)
    );
}

#[test]
fn json_with_a_mistake_is_refused_with_its_place() {
    for (json, problem) in [
        (r#"{"id":"x","nope":1}"#, "unrecognized field"),
        (r#"{"id":1}"#, "invalid type"),
        (r#"{"id":"x"} {}"#, "trailing characters"),
        (r#"{"id":"x""#, "EOF"),
    ] {
        let error = from_json::<v1::GetOrderRequest>(json.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn an_answer_is_json_by_protobufs_mapping() {
    let at = |seconds| {
        Some(prost_types::Timestamp {
            seconds,
            nanos: 5_000_000,
        })
    };
    let order = v1::Order {
        id: "x".to_owned(),
        status: v1::OrderStatus::Paid.into(),
        products: vec![v1::Product {
            name: "Dal".to_owned(),
            quantity: 2,
        }],
        version: 2,
        created_at: at(1_755_648_000),
        ..v1::Order::default()
    };
    let answer = v1::GetOrderResponse {
        result: Some(v1::get_order_response::Result::Order(order)),
    };
    let json = String::from_utf8(to_json(&answer).unwrap()).unwrap();
    assert_eq!(
        json,
        r#"{"order":{"id":"x","status":"ORDER_STATUS_PAID","products":[{"name":"Dal","quantity":2}],"version":2,"createdAt":"2025-08-20T00:00:00.005Z"}}"#
    );
}
