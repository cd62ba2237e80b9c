//! Cancelling races with the next step, and exactly one wins.

use std::time::Duration;

use futures::future::join_all;
use prost::Message;
use tiffin_bus::{Bus, CoreMessage, CoreSubscription};
use tiffin_order::{OrderId, Status};
use tiffin_proto::{
    decode_bus,
    v1::{self, cancel_order_response::Result as Verdict},
};
use time::OffsetDateTime;
use tokio::task::JoinSet;

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(30);
/// How long an order is being cooked.
const COOKING: Duration = Duration::from_secs(3);
const ORDERS: usize = 1_000;

pub(crate) async fn cancel(bus: &Bus, id: OrderId) -> Verdict {
    let request = v1::CancelOrderRequest {
        id: id.to_string(),
        note: "too late?".to_owned(),
        actor: "web".to_owned(),
        reason: v1::Reason::CancelledByCustomer.into(),
    };
    let answer = bus
        .request("orders.order.cancel", request.encode_to_vec().into(), PATIENCE)
        .await;
    v1::CancelOrderResponse::decode(answer.unwrap())
        .unwrap()
        .result
        .unwrap()
}

/// The order that a message says to be in the kitchen, and when that will be over.
fn cooking(message: &CoreMessage) -> Option<(OrderId, OffsetDateTime)> {
    let event = decode_bus(&message.payload).unwrap();
    let Some(v1::event::Event::OrderUpdated(v1::OrderUpdated { order: Some(order) })) = event.event else {
        panic!("{event:?}")
    };
    let at = event.recorded_at.unwrap();
    let nanos = i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos);
    let due = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap() + COOKING;
    (order.status() == v1::OrderStatus::Preparing).then(|| (OrderId::parse(&order.id).unwrap(), due))
}

/// Cancels each order at another time, from 40 ms before to 40 ms after the courier takes it.
async fn race(world: &World, mut updates: CoreSubscription) -> Vec<(OrderId, Verdict)> {
    let mut races = JoinSet::new();
    while races.len() < ORDERS {
        let update = tokio::time::timeout(PATIENCE, updates.next())
            .await
            .unwrap()
            .unwrap();
        let Some((id, due)) = cooking(&update) else {
            continue;
        };
        let offset = time::Duration::milliseconds(i64::try_from(races.len() % 81).unwrap() - 40);
        let wait = Duration::try_from(due + offset - world.store.now()).unwrap_or_default();
        let bus = world.bus.clone();
        races.spawn(async move {
            tokio::time::sleep(wait).await;
            (id, cancel(&bus, id).await)
        });
    }
    races.join_all().await
}

pub(crate) async fn of_a_cancellation_and_a_due_timer_exactly_one_wins(world: World) {
    world.announce().await;
    let updates = world.bus.subscribe_core("order.updated.*").await.unwrap();
    let cooking = u32::try_from(COOKING.as_millis()).unwrap();
    let waits = [0, 0, cooking, 3_600_000];
    // Two replicas, so that cancellation and timer do not meet in one queue.
    let (one, other) = (world.replica(waits).await, world.replica(waits).await);
    for _ in 0..ORDERS {
        world.place().await;
    }
    let mut cancelled = 0;
    for (id, verdict) in race(&world, updates).await {
        let (last, history) = (world.order(id).await.status().unwrap(), world.seen(id).await);
        let versions: Vec<_> = history.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, [1, 2, 3, 4], "{history:?}");
        match verdict {
            Verdict::Order(order) => {
                cancelled += 1;
                assert_eq!((order.version, last), (4, Status::Cancelled));
            }
            Verdict::Error(error) => {
                let expected = ("ORDER_NOT_CANCELLABLE", Status::OutForDelivery);
                assert_eq!((error.code.as_str(), last), expected);
            }
        }
    }
    assert!(
        (1..ORDERS).contains(&cancelled),
        "{cancelled} were cancelled: there was no race"
    );
    let conflicts: u64 = [&one, &other]
        .map(|replica| replica.metric("tiffin_orders_conflicts_total"))
        .iter()
        .sum();
    assert!(conflicts > 0, "no cancellation met a timer of the other replica");
    one.stop().await;
    other.stop().await;
}

pub(crate) async fn a_second_cancellation_is_answered_like_the_first_and_changes_nothing(world: World) {
    let replica = world.replica([3_600_000; 4]).await;
    let id = world.place().await;
    let verdicts = join_all((0..64).map(|_| cancel(&world.bus, id))).await;
    assert!(
        verdicts.iter().all(|verdict| *verdict == verdicts[0]),
        "{verdicts:?}"
    );
    let Verdict::Order(order) = &verdicts[0] else {
        panic!("{verdicts:?}")
    };
    assert_eq!((order.status(), order.version), (v1::OrderStatus::Cancelled, 2));
    assert_eq!(order.reason(), v1::Reason::CancelledByCustomer);
    assert_eq!(world.events(&id.stream()).await.len(), 2);
    replica.stop().await;
}
