//! What subscribers get, whichever of store and broker fails the notifier.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};
use tiffin_testkit::{GraphQl, Received, eventually};
use tokio::time::timeout;

use crate::{
    harness::{Notifier, OPERATOR_KEY, WATCH, World, version, versions},
    placed::Placed,
};

const SOON: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_subscriber_gets_each_version_once_and_in_order_to_the_last() {
    let world = World::start().await;
    let notifier = world.notifier().await;
    let mut order = world.place().await;
    let mut stream = notifier.watch(&order, None).await;
    assert_eq!(version(&mut stream).await, Some(1));
    order.advance().await;
    assert_eq!(timeout(SOON, version(&mut stream)).await.unwrap(), Some(2));
    order.advance_to_the_end().await;
    assert_eq!(timeout(SOON, versions(&mut stream)).await.unwrap(), [3, 4, 5]);
    assert!(notifier.metric("tiffin_notifier_pushes_total") >= 5.0);
    eventually!(notifier.metric("tiffin_notifier_subscribers"), |open| *open
        == 0.0);
}

#[tokio::test]
async fn after_a_version_exactly_the_rest_comes() {
    let world = World::start().await;
    let notifier = world.notifier().await;
    let mut order = world.place().await;
    order.advance().await;
    order.advance().await;
    let mut streams = [
        (notifier.watch(&order, Some(0)).await, vec![1, 2, 3, 4]),
        (notifier.watch(&order, Some(1)).await, vec![2, 3, 4]),
        (notifier.watch(&order, Some(3)).await, vec![4]),
        (notifier.resume(&order, Some(1), Some("2")).await, vec![3, 4]),
        (notifier.resume(&order, Some(2), Some("1")).await, vec![3, 4]),
        (notifier.resume(&order, None, Some("2")).await, vec![3, 4]),
        (
            notifier.resume(&order, Some(2), Some("rubbish")).await,
            vec![3, 4],
        ),
    ];
    let mut ahead = notifier.watch(&order, Some(9)).await;
    assert_eq!(version(&mut ahead).await, Some(3));
    order.cancel().await;
    assert_eq!(versions(&mut ahead).await, [4]);
    for (stream, expected) in &mut streams {
        assert_eq!(versions(stream).await, *expected);
    }
    // A finished order gives what there is and completes.
    assert_eq!(versions(&mut notifier.watch(&order, None).await).await, [4]);
    assert_eq!(versions(&mut notifier.watch(&order, Some(2)).await).await, [3, 4]);
    assert!(
        versions(&mut notifier.watch(&order, Some(4)).await)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn a_websocket_carries_the_same() {
    let world = World::start().await;
    let notifier = world.notifier().await;
    let mut orders = [world.place().await, world.place().await];
    let mut socket = notifier.client().websocket().await.unwrap();
    for order in &orders {
        let id = order.id.to_string();
        socket.subscribe(&id, WATCH, json!({ "id": id })).await.unwrap();
    }
    for order in &mut orders {
        order.advance_to_the_end().await;
    }
    let mut seen = orders.each_ref().map(|order| (order.id.to_string(), Vec::new()));
    let mut completed = 0;
    while completed < orders.len() {
        let Received::Message(message) = socket.next().await.unwrap() else {
            panic!("closed")
        };
        if message["type"] == "complete" {
            completed += 1;
            continue;
        }
        let update = &message["payload"]["data"]["onOrderUpdated"];
        assert_eq!(update["id"], message["id"]);
        let (_, versions) = seen.iter_mut().find(|(id, _)| *id == message["id"]).unwrap();
        versions.push(update["version"].as_u64().unwrap());
    }
    for (_, versions) in seen {
        assert_eq!(versions.last(), Some(&5));
        assert!(
            versions.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{versions:?}"
        );
    }
}

#[tokio::test]
async fn with_the_broker_stopped_each_change_is_shown_within_two_seconds() {
    let world = World::start().await;
    let notifier = world.notifier().await;
    let mut order = world.place().await;
    let mut stream = notifier.watch(&order, None).await;
    assert_eq!(version(&mut stream).await, Some(1));
    order.advance().await;
    assert_eq!(version(&mut stream).await, Some(2));
    world.nats.pause();
    for expected in 3..=5 {
        order.advance().await;
        let committed = Instant::now();
        assert_eq!(version(&mut stream).await, Some(expected));
        assert!(committed.elapsed() < SOON, "{:?}", committed.elapsed());
    }
    assert_eq!(version(&mut stream).await, None);
    world.nats.resume();
}

#[tokio::test]
async fn a_wiped_broker_costs_no_version() {
    let world = World::start().await;
    let notifier = world.notifier().await;
    let mut orders = join_all((0..20).map(|_| world.place())).await;
    let mut streams = join_all(orders.iter().map(|order| notifier.watch(order, Some(0)))).await;
    for (nth, order) in orders.iter_mut().enumerate() {
        order.advance().await;
        if nth == 10 {
            world.nats.wipe().await;
        }
        order.advance_to_the_end().await;
    }
    for stream in &mut streams {
        assert_eq!(
            timeout(Duration::from_secs(10), versions(stream)).await.unwrap(),
            [1, 2, 3, 4, 5]
        );
    }
}

#[tokio::test]
async fn who_reads_late_misses_nothing_and_others_do_not_wait() {
    let world = World::start().await;
    let notifier = world.notifier().await;
    let mut order = world.place().await;
    let mut late = notifier.watch(&order, Some(0)).await;
    let mut prompt = notifier.watch(&order, Some(0)).await;
    order.advance_to_the_end().await;
    assert_eq!(
        timeout(SOON, versions(&mut prompt)).await.unwrap(),
        [1, 2, 3, 4, 5]
    );
    assert_eq!(versions(&mut late).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn subscribers_at_any_moment_miss_nothing() {
    let world = World::start().await;
    let notifier = world.notifier().await;
    let watch = async |mut order: Placed| {
        let id = order.id;
        let moving = async {
            for _ in 0..4 {
                order.advance().await;
                tokio::task::yield_now().await;
            }
        };
        let watching = join_all((0..3).map(async |nth: u64| {
            for _ in 0..nth * 40 {
                tokio::task::yield_now().await;
            }
            let variables = json!({ "id": id.to_string() });
            let mut stream = notifier.client().subscribe(WATCH, variables, None).await.unwrap();
            versions(&mut stream).await
        }));
        futures::join!(moving, watching).1
    };
    let orders = join_all((0..100).map(|_| world.place())).await;
    let seen = timeout(Duration::from_mins(1), join_all(orders.into_iter().map(watch)))
        .await
        .unwrap();
    for versions in seen.iter().flatten() {
        assert_eq!(versions.last(), Some(&5), "{versions:?}");
        assert!(
            versions.windows(2).all(|pair| pair[1] == pair[0] + 1),
            "{versions:?}"
        );
    }
}

/// The code of the error that a subscription begins with.
async fn refused(client: &GraphQl, query: &str, variables: Value) -> Value {
    let mut stream = match client.subscribe(query, variables, None).await {
        Ok(stream) => stream,
        // Refused before there was a stream.
        Err(error) => {
            let text = error.to_string();
            let body: Value = serde_json::from_str(&text[text.find('{').unwrap()..]).unwrap();
            return body["errors"][0]["extensions"]["code"].clone();
        }
    };
    let event = stream.next().await.unwrap().unwrap();
    event.json().unwrap()["errors"][0]["extensions"]["code"].clone()
}

#[tokio::test]
async fn what_cannot_be_watched_is_refused_with_a_code() {
    let world = World::start().await;
    let notifier = world.notifier().await;
    let client = notifier.client();
    let (mine, other) = (
        world.place().await.id.to_string(),
        world.place_for("web").await.id.to_string(),
    );
    let unknown = "0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21";
    for (variables, code) in [
        (json!({ "id": unknown }), "NOT_FOUND"),
        (json!({ "id": other }), "NOT_FOUND"),
        (json!({ "id": "1" }), "BAD_USER_INPUT"),
        (json!({ "id": mine, "after": -1 }), "BAD_USER_INPUT"),
        (json!({ "id": mine, "after": "1" }), "BAD_USER_INPUT"),
        (json!({}), "BAD_USER_INPUT"),
    ] {
        assert_eq!(
            refused(&client, WATCH, variables.clone()).await,
            code,
            "{variables}"
        );
    }
    let mutation = "mutation { cancelOrder(input: { id: \"1\" }) { id } }";
    for document in [mutation, "{ orders: order(id: \"1\") { id } }"] {
        assert_eq!(
            refused(&client, document, json!({})).await,
            "SUBSCRIPTIONS_ONLY",
            "{document}"
        );
    }
    let stranger = GraphQl::new(&notifier.url, "no-such-key");
    assert_eq!(
        refused(&stranger, WATCH, json!({ "id": mine })).await,
        "UNAUTHENTICATED"
    );
    let operator = GraphQl::new(&notifier.url, OPERATOR_KEY);
    let mut stream = operator
        .subscribe(WATCH, json!({ "id": other }), None)
        .await
        .unwrap();
    assert_eq!(version(&mut stream).await, Some(1));
}

#[tokio::test]
async fn a_query_of_the_schema_is_answered() {
    let world = World::start().await;
    let notifier = world.notifier().await;
    let query = "{ __schema { subscriptionType { fields { name } } } }";
    let mut stream = notifier.client().subscribe(query, json!({}), None).await.unwrap();
    let answer = stream.next().await.unwrap().unwrap().json().unwrap();
    assert_eq!(
        answer["data"]["__schema"]["subscriptionType"]["fields"][0]["name"],
        "onOrderUpdated"
    );
}

/// Reads a WebSocket until the server closes it, and tells when.
async fn closed_after(notifier: &Notifier, order: &Placed, begun: &tokio::sync::Barrier) -> (u16, Duration) {
    let mut socket = notifier.client().websocket().await.unwrap();
    socket
        .subscribe("1", WATCH, json!({ "id": order.id.to_string() }))
        .await
        .unwrap();
    assert!(matches!(socket.next().await.unwrap(), Received::Message(_)));
    begun.wait().await;
    let stopped = Instant::now();
    loop {
        if let Received::Closed(code, _) = socket.next().await.unwrap() {
            return (code, stopped.elapsed());
        }
    }
}

#[tokio::test]
async fn a_stop_closes_its_sockets_one_by_one_and_another_notifier_goes_on() {
    const SOCKETS: usize = 30;
    let world = World::start().await;
    let (first, second) = (world.notifier().await, world.notifier().await);
    let mut order = world.place().await;
    let begun = tokio::sync::Barrier::new(SOCKETS + 1);
    let sockets = join_all((0..SOCKETS).map(|_| closed_after(&first, &order, &begun)));
    let (closed, ()) = futures::join!(sockets, async {
        begun.wait().await;
        first.lifecycle.soft.cancel();
    });
    assert!(closed.iter().all(|(code, _)| *code == 1012), "{closed:?}");
    let mut times: Vec<_> = closed.iter().map(|(_, after)| *after).collect();
    times.sort();
    let widest = times
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .max()
        .unwrap();
    assert!(
        times[SOCKETS - 1] > Duration::from_secs(1),
        "all at once: {times:?}"
    );
    assert!(widest < Duration::from_secs(1), "in lumps: {times:?}");
    first.lifecycle.finished().await;

    order.advance().await;
    let mut again = second.watch(&order, None).await;
    assert_eq!(version(&mut again).await, Some(2));
    order.cancel().await;
    assert_eq!(versions(&mut again).await, [3]);
}
