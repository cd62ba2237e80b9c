//! Orders that reach their end, whatever is missing on the way.

use std::time::{Duration, Instant};

use tiffin_order::Status;
use tiffin_proto::{
    Context, decode_bus, kind,
    v1::{self, cancel_order_response::Result as Verdict},
};
use tiffin_testkit::eventually;

use crate::{
    cancelling::cancel,
    world::{World, delivered},
};

const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) async fn an_announced_order_is_started_at_once_and_delivered_and_each_change_is_published(
    world: World,
) {
    world.announce().await;
    let mut updates = world.bus.subscribe_core("order.updated.*").await.unwrap();
    let replica = world.replica([200, 0, 100, 0]).await;
    // The first start of a fresh server takes its time.
    let first = world.place().await;
    world.until(first, Status::Delivered, PATIENCE).await;

    let placed = Instant::now();
    let id = world.place().await;
    world.until(id, Status::Delivered, PATIENCE).await;
    assert!(
        placed.elapsed() < Duration::from_secs(2),
        "the announcement was faster than the wake-up"
    );
    assert_eq!(world.seen(id).await, delivered());
    let events = world.events(&id.stream()).await;
    let kinds: Vec<_> = events.iter().map(|event| event.kind.to_string()).collect();
    assert_eq!(kinds[..2], [kind::ORDER_CREATED, kind::ORDER_STARTED]);
    assert_eq!(kinds[2..], [kind::ORDER_ADVANCED; 4]);
    for event in &events {
        let trace = Context::decode(&event.metadata).unwrap().trace.unwrap();
        assert_eq!(trace.trace_id().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    let subject = format!("order.updated.{id}");
    let mut published = Vec::new();
    while published.len() < 4 {
        let update = tokio::time::timeout(PATIENCE, updates.next())
            .await
            .unwrap()
            .unwrap();
        if update.subject == subject {
            let version = update.headers.get("order-version").unwrap().to_owned();
            let event = decode_bus(&update.payload).unwrap();
            let Some(v1::event::Event::OrderUpdated(v1::OrderUpdated { order: Some(order) })) = event.event
            else {
                panic!("{event:?}")
            };
            assert_eq!(order.version.to_string(), version);
            published.push(order.version);
        }
    }
    assert_eq!(published, [2, 3, 4, 5]);
    replica.stop().await;
}

pub(crate) async fn an_order_that_nobody_announces_starts_by_its_wake_up(world: World) {
    let replica = world.replica([0, 0, 0, 0]).await;
    let id = world.place().await;
    world.until(id, Status::Delivered, PATIENCE).await;
    assert_eq!(world.seen(id).await, delivered());
    assert_eq!(
        world.events(&id.stream()).await.len(),
        5,
        "the start took the first step along"
    );
    assert!(replica.metric("tiffin_orders_wake_overdue_total") >= 1);
    replica.stop().await;
}

pub(crate) async fn a_wait_beyond_the_end_of_the_calendar_holds_up_no_other_order(world: World) {
    let slow = world.replica_at(1e-300, [1, 0, 0, 0]).await;
    let stuck = world.place().await;
    eventually!(within PATIENCE, world.events(&stuck.stream()).await.len(), |events| *events == 2);
    slow.stop().await;
    let replica = world.replica([0, 0, 0, 0]).await;
    // Nobody announces it, so the index has passed the other one when this one is started.
    let id = world.place().await;
    world.until(id, Status::Delivered, PATIENCE).await;
    assert_eq!(world.order(stuck).await.status(), Some(Status::Pending));
    let Verdict::Order(order) = cancel(&world.bus, stuck).await else {
        panic!("it can still be cancelled")
    };
    assert_eq!(order.status(), v1::OrderStatus::Cancelled);
    replica.stop().await;
}

pub(crate) async fn timers_that_came_due_while_everything_was_down_fire_within_two_seconds_of_the_restart(
    world: World,
) {
    let replica = world.replica([2500, 3_600_000, 0, 0]).await;
    let id = world.place().await;
    eventually!(within PATIENCE, world.events(&id.stream()).await.len(), |events| *events == 2);
    replica.stop().await;
    let due = world.order(id).await.wake_at().unwrap();
    eventually!(within PATIENCE, world.store.now(), |now| *now > due);
    assert_eq!(world.order(id).await.status(), Some(Status::Pending));
    let restarted = Instant::now();
    let replica = world.replica([2500, 3_600_000, 0, 0]).await;
    world.until(id, Status::Paid, PATIENCE).await;
    assert!(
        restarted.elapsed() < Duration::from_secs(2),
        "{:?}",
        restarted.elapsed()
    );
    replica.stop().await;
}

pub(crate) async fn an_order_finishes_under_the_workflow_it_was_started_under(world: World) {
    let replica = world.replica([1000, 0, 0, 0]).await;
    let id = world.place().await;
    eventually!(within PATIENCE, world.events(&id.stream()).await.len(), |events| *events == 2);
    replica.stop().await;
    let replica = world.replica([3_600_000, 3_600_000, 3_600_000, 3_600_000]).await;
    world.until(id, Status::Delivered, PATIENCE).await;
    assert_eq!(world.streams("workflow-").await.len(), 2);
    replica.stop().await;
}

pub(crate) async fn two_replicas_carry_no_order_out_twice(world: World) {
    world.announce().await;
    let waits = [100, 50, 0, 50];
    let (one, other) = (world.replica(waits).await, world.replica(waits).await);
    let mut orders = Vec::new();
    for _ in 0..100 {
        orders.push(world.place().await);
    }
    for id in orders {
        world.until(id, Status::Delivered, PATIENCE).await;
        assert_eq!(world.seen(id).await, delivered());
    }
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn unfinished_orders_are_counted(world: World) {
    let replica = world.replica([0, 3_600_000, 0, 0]).await;
    let id = world.place().await;
    world.until(id, Status::Paid, PATIENCE).await;
    eventually!(
        replica.metric("tiffin_orders_open{status=\"PAID\"}"),
        |count| *count == 1
    );
    assert_eq!(replica.metric("tiffin_orders_open{status=\"PENDING\"}"), 0);
    replica.stop().await;
}

pub(crate) async fn orders_start_and_go_on_while_nats_hangs(world: World) {
    world.announce().await;
    let replica = world.replica([0, 200, 0, 200]).await;
    world.nats.pause();
    let id = world.place().await;
    world.until(id, Status::Delivered, PATIENCE).await;
    assert_eq!(world.seen(id).await, delivered());
    world.nats.resume();
    replica.stop().await;
}
