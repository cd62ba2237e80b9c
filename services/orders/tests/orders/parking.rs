//! What cannot be handled is set aside, and nothing else waits for it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message;
use tiffin_order::{OrderId, Status};
use tiffin_proto::{kind, parked_message, v1};
use tiffin_testkit::eventually;
use tiffin_trace::{SpanData, Spans, Tracer};
use uuid::Uuid;

use crate::world::World;

/// Within this everything that cannot be handled is set aside.
const PATIENCE: Duration = Duration::from_secs(10);

/// The announcement of an order.
fn created(id: OrderId) -> Bytes {
    let order = v1::Order {
        id: id.to_string(),
        ..v1::Order::default()
    };
    let created = v1::event::Event::OrderCreated(v1::OrderCreated { order: Some(order) });
    v1::Event {
        event: Some(created),
        recorded_at: None,
    }
    .encode_to_vec()
    .into()
}

pub(crate) async fn rubbish_and_orders_that_do_not_exist_are_set_aside_and_the_others_are_not_delayed(
    world: World,
) {
    world.announce().await;
    let mut parked = world.bus.subscribe_core("order.parked.*").await.unwrap();
    let replica = world.replica([0, 0, 0, 0]).await;
    let first = world.place().await;
    world.until(first, Status::Delivered, PATIENCE).await;

    let rubbish = Bytes::from_static(b"\xff\xfe no protobuf");
    let nobody = OrderId::new(Uuid::now_v7());
    world
        .bus
        .publish_core("order.created.x", rubbish.clone())
        .await
        .unwrap();
    world
        .bus
        .publish_core(&format!("order.created.{nobody}"), created(nobody))
        .await
        .unwrap();
    world
        .bus
        .publish_core("order.created.x", rubbish.clone())
        .await
        .unwrap();

    let placed = Instant::now();
    let id = world.place().await;
    world.until(id, Status::Delivered, PATIENCE).await;
    assert!(
        placed.elapsed() < Duration::from_secs(4),
        "{:?}",
        placed.elapsed()
    );

    let streams = eventually!(within PATIENCE, world.streams("parked-").await, |streams| streams.len() == 2);
    let mut messages = Vec::new();
    for stream in &streams {
        let events = world.events(stream).await;
        assert_eq!((events.len(), &*events[0].kind), (1, kind::MESSAGE_PARKED));
        messages.push(parked_message(&events[0].data).unwrap());
    }
    assert!(messages.contains(&rubbish), "it is kept as it came");
    let samples = "tiffin_orders_parked_total{what=\"message\"}";
    eventually!(within PATIENCE, replica.metric(samples), |count| *count >= 3);
    let told = tokio::time::timeout(PATIENCE, parked.next())
        .await
        .unwrap()
        .unwrap();
    assert!(
        streams.contains(&told.subject.replace("order.parked.", "parked-")),
        "{}",
        told.subject
    );
    replica.stop().await;
}

/// As what the starts of an order have failed, once one has ended.
async fn started(spans: &mut Spans, id: OrderId) -> Vec<String> {
    let (mut ended, id) = (Vec::new(), id.to_string());
    let attribute = |span: &SpanData, key: &str| {
        let mut attributes = span.attributes.iter();
        let found = attributes.find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| attribute.value.to_string())
    };
    let is_start = |span: &&SpanData| {
        span.name == "order.created process" && attribute(span, "tiffin.order.id").as_ref() == Some(&id)
    };
    eventually!(within PATIENCE, {
        spans.take_ready(&mut ended, usize::MAX);
        ended.iter().any(|span| is_start(&span))
    }, |ended| *ended);
    let starts = ended.iter().filter(is_start);
    starts.filter_map(|span| attribute(span, "error.type")).collect()
}

pub(crate) async fn a_start_that_fails_is_seen_to_fail(mut world: World) {
    let (tracer, mut spans) = Tracer::recording(0.0, 1000);
    world.tracer = tracer;
    world.announce().await;
    let replica = world.replica([0, 0, 0, 0]).await;
    let damaged = world.place_damaged().await;
    let failed = started(&mut spans, damaged).await;
    assert!(!failed.is_empty());
    let sound = world.place().await;
    assert_eq!(started(&mut spans, sound).await, Vec::<String>::new());
    replica.stop().await;
}

pub(crate) async fn an_order_that_makes_its_handler_fail_is_set_aside_after_five_attempts(world: World) {
    world.announce().await;
    let replica = world.replica([0, 0, 0, 0]).await;
    let damaged = world.place_damaged().await;
    let sound = world.place().await;
    world.until(sound, Status::Delivered, PATIENCE).await;
    let stream = damaged.stream();
    let events = eventually!(within PATIENCE, world.events(&stream).await, |events| events.len() == 2);
    assert_eq!(&*events[1].kind, kind::ORDER_PARKED);
    eventually!(replica.metric("tiffin_orders_parked_open"), |count| *count == 1);
    assert_eq!(replica.metric("tiffin_orders_parked_total{what=\"order\"}"), 1);
    assert!(replica.metric("tiffin_orders_handler_failures_total") >= 5);
    replica.stop().await;
    // It stays aside, whoever comes next.
    let replica = world.replica([0, 0, 0, 0]).await;
    let after = world.place().await;
    world.until(after, Status::Delivered, PATIENCE).await;
    assert_eq!(world.events(&stream).await.len(), 2);
    replica.stop().await;
}
