//! The log as operators read it over NATS.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tiffin_order::{OrderId, Status};

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(15);

async fn read(world: &World, request: Value) -> Value {
    let request = Bytes::from(request.to_string());
    let answer = world.bus.request("orders.events.read", request, PATIENCE);
    serde_json::from_slice(&answer.await.unwrap()).unwrap()
}

/// What a page tells: positions and kinds.
fn told(page: &Value) -> Vec<(u64, String)> {
    let events = page["events"]["events"].as_array().cloned().unwrap_or_default();
    let event = |event: &Value| {
        (
            event["position"].as_str().unwrap().parse().unwrap(),
            event["kind"].as_str().unwrap().to_owned(),
        )
    };
    events.iter().map(event).collect()
}

/// The same of everything in the log, read by pages of so many events.
async fn all(world: &World, limit: usize) -> Vec<(u64, String)> {
    let (mut all, mut after) = (Vec::new(), json!("start"));
    loop {
        let page = read(world, json!({ "after": after, "limit": limit })).await;
        let events = told(&page);
        assert!(events.len() <= limit);
        if events.is_empty() {
            return all;
        }
        all.extend(events);
        after = page["events"]["cursor"].clone();
    }
}

pub(crate) async fn the_log_is_read_by_pages_once_each_event_and_nothing_personal(world: World) {
    let replica = world.replica([0, 3_600_000, 0, 0]).await;
    let id = world.place().await;
    world.until(id, Status::Paid, PATIENCE).await;
    let command = json!({ "id": id.to_string(), "note": "the blue door" }).to_string();
    world
        .bus
        .request("orders.order.cancel", command.into(), PATIENCE)
        .await
        .unwrap();
    let kinds = [
        "workflow-defined",
        "order-created",
        "order-started",
        "order-cancelled",
    ];
    let expected: Vec<(u64, String)> = (1..).zip(kinds.map(str::to_owned)).collect();
    for limit in [1, 2, 500] {
        assert_eq!(all(&world, limit).await, expected);
    }
    let page = read(&world, json!({ "after": "start" })).await;
    assert!(!page.to_string().contains("blue door"), "{page}");
    let cancelled = &page["events"]["events"][3];
    let expected = json!({
        "order": id.to_string(), "version": 3, "status": "ORDER_STATUS_CANCELLED",
        "reason": "REASON_CANCELLED_BY_STAFF", "actor": "operator",
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&cancelled[field], value, "{field}");
    }
    let since = read(&world, json!({ "after": cancelled["recordedAt"] })).await;
    assert_eq!(told(&since).first().map(|(position, _)| *position), Some(4));
    replica.stop().await;
}

pub(crate) async fn news_are_waited_for_and_an_orders_events_are_told_from_the_others(world: World) {
    let replica = world.replica([3_600_000, 0, 0, 0]).await;
    let (mine, other) = (world.place().await, world.place().await);
    let started = |id: OrderId| world.until_events(id, 2);
    started(mine).await;
    started(other).await;
    let of_mine = read(&world, json!({ "after": "start", "order": mine.to_string() })).await;
    let kinds: Vec<String> = told(&of_mine).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["order-created", "order-started"]);

    let end = read(&world, json!({})).await["events"]["cursor"].clone();
    assert_eq!(end, world.store.head().await.unwrap().to_string());
    let waiting = Instant::now();
    let nothing = read(&world, json!({ "after": end, "waitMs": 300 })).await;
    assert_eq!(told(&nothing), []);
    assert_eq!(nothing["events"]["cursor"], end);
    assert!(waiting.elapsed() >= Duration::from_millis(300));

    // Whoever waits for news of one order passes over those of others.
    let question = json!({ "after": end, "order": mine.to_string(), "waitMs": 2000 });
    let cancel = async {
        for id in [other, mine] {
            let command = json!({ "id": id.to_string() }).to_string();
            world
                .bus
                .request("orders.order.cancel", command.into(), PATIENCE)
                .await
                .unwrap();
        }
    };
    let (news, ()) = tokio::join!(read(&world, question), cancel);
    let head = world.store.head().await.unwrap().position.0;
    assert_eq!(told(&news), [(head, "order-cancelled".to_owned())]);
    replica.stop().await;
}

pub(crate) async fn a_place_that_the_log_does_not_have_is_refused_and_harms_nobody(world: World) {
    let replica = world.replica([0, 0, 0, 0]).await;
    let foreign = "1-00000000000000000000000000000001";
    let unknown = "999-00000000000000000000000000000001";
    for after in ["yesterday", "17", foreign, unknown, "2999-01-01T00:00:00Z"] {
        let refused = read(&world, json!({ "after": after })).await;
        assert_eq!(refused["error"]["code"], "BAD_USER_INPUT", "{after}: {refused}");
    }
    let refused = read(&world, json!({ "order": "x" })).await;
    assert_eq!(refused["error"]["code"], "BAD_USER_INPUT");
    // Nothing is concluded from a cursor that somebody made up.
    assert_eq!(*world.store.replaced().borrow(), 0);
    // Whoever waits is answered before the service is gone. A later question that has been answered says that the first
    // one has come.
    let (answer, ()) = tokio::join!(read(&world, json!({ "waitMs": 2000 })), async {
        read(&world, json!({ "after": "start" })).await;
        replica.stop().await;
    });
    assert_eq!(told(&answer), []);
}
