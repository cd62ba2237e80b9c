//! Events published once more for a consumer that lost them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use tiffin_bus::{ConsumerSpec, EVENT_ID, NUMBER, POSITION, PullConsumer};
use tiffin_order::Status;
use tiffin_testkit::eventually;
use tokio_util::sync::CancellationToken;

use crate::world::World;

const PATIENCE: Duration = Duration::from_secs(15);

async fn ask(world: &World, request: Value) -> Value {
    let request = Bytes::from(request.to_string());
    let answer = world
        .bus
        .request("orders.events.republish", request, PATIENCE)
        .await
        .unwrap();
    serde_json::from_slice(&answer).unwrap()
}

/// Publishes from a place to the log's end and returns how many messages there are.
async fn republish(world: &World, name: &str, from: &str, order: &str) -> usize {
    let mut last =
        ask(world, json!({ "name": name, "from": from, "order": order })).await["republishing"].clone();
    let end: u64 = last["of"].as_str().unwrap().parse().unwrap();
    while last["position"]
        .as_str()
        .is_none_or(|position| position.parse::<u64>().unwrap() < end)
    {
        let page = ask(
            world,
            json!({ "name": name, "after": last["cursor"], "order": order }),
        )
        .await;
        last = page["republishing"].clone();
        assert!(last.is_object(), "{page}");
    }
    assert_eq!(last["stream"], "ORDER_AGAIN");
    assert_eq!(last["subjects"], format!("again.{name}.>"));
    last["messages"]
        .as_str()
        .map_or(0, |messages| messages.parse().unwrap())
}

/// A message as a consumer gets it.
#[derive(Debug, Clone, PartialEq)]
struct Got {
    position: u64,
    id: String,
    subject: String,
    payload: Bytes,
    number: Option<String>,
}

/// What a consumer that starts from nothing gets of a stream: the first `count` messages.
async fn got(world: &World, spec: ConsumerSpec, count: usize) -> Vec<Got> {
    let (got, stop) = (Arc::new(Mutex::new(Vec::new())), CancellationToken::new());
    let seen = Arc::clone(&got);
    let consuming = PullConsumer::new(&world.bus, spec).run(stop.clone(), move |batch| {
        let seen = Arc::clone(&seen);
        async move {
            for delivery in batch {
                let header = |name| delivery.headers.get(name).map(str::to_owned);
                seen.lock().unwrap().push(Got {
                    position: header(POSITION).unwrap().parse().unwrap(),
                    id: header(EVENT_ID).unwrap(),
                    subject: delivery.subject.clone(),
                    payload: delivery.payload.clone(),
                    number: header(NUMBER),
                });
                delivery.ack().await;
            }
        }
    });
    let consuming = tokio::spawn(consuming);
    eventually!(got.lock().unwrap().len(), |seen| *seen >= count);
    stop.cancel();
    consuming.await.unwrap();
    let got = got.lock().unwrap().clone();
    assert_eq!(got.len(), count);
    got
}

pub(crate) async fn a_consumer_that_lost_everything_gets_each_message_once_in_the_logs_order(world: World) {
    world.announce().await;
    let replica = world.replica([20, 0, 0, 0]).await;
    for _ in 0..3 {
        let id = world.place().await;
        world.until(id, Status::Delivered, PATIENCE).await;
    }
    let created = got(&world, ConsumerSpec::new("ORDER_CREATED", "one", ""), 3).await;
    let updated = got(&world, ConsumerSpec::new("ORDER_UPDATED", "two", ""), 12).await;
    let mut expected = [created, updated].concat();
    expected.sort_by_key(|message| message.position);

    assert_eq!(republish(&world, "shop", "start", "").await, 15);
    let filter = "again.shop.order.>";
    let spec = ConsumerSpec {
        filter,
        ..ConsumerSpec::new("ORDER_AGAIN", "three", "")
    };
    let again = got(&world, spec, 15).await;
    for (number, (again, first)) in (1..).zip(again.iter().zip(&expected)) {
        let as_it_was = Got {
            subject: again.subject.strip_prefix("again.shop.").unwrap().to_owned(),
            number: None,
            ..again.clone()
        };
        assert_eq!(&as_it_was, first);
        assert_eq!(again.number, Some(format!("{number}")));
    }
    replica.stop().await;
}

pub(crate) async fn one_orders_messages_are_published_alone_and_what_cannot_be_is_refused(world: World) {
    let replica = world.replica([0, 0, 0, 0]).await;
    let (mine, other) = (world.place().await, world.place().await);
    for id in [mine, other] {
        world.until(id, Status::Delivered, PATIENCE).await;
    }
    let id = mine.to_string();
    assert_eq!(republish(&world, "mine", "start", &id).await, 5);
    let again = got(&world, ConsumerSpec::new("ORDER_AGAIN", "mine", ""), 5).await;
    assert!(
        again.iter().all(|message| message.subject.ends_with(&id)),
        "{again:?}"
    );
    assert!(again.is_sorted_by(|one, next| one.position < next.position));

    for request in [
        json!({ "name": "mine", "from": "start" }),
        json!({ "name": "", "from": "start" }),
        json!({ "name": "a.b", "from": "start" }),
        json!({ "name": ">", "from": "start" }),
        json!({ "name": "x", "from": "yesterday" }),
        json!({ "name": "x", "from": "start", "order": "x" }),
        json!({ "name": "x" }),
        json!({ "name": "x", "after": "1-00000000000000000000000000000001" }),
    ] {
        let refused = ask(&world, request.clone()).await;
        assert_eq!(refused["error"]["code"], "BAD_USER_INPUT", "{request}: {refused}");
        assert!(
            refused["error"]["hint"]
                .as_str()
                .is_some_and(|hint| !hint.is_empty())
        );
    }
    replica.stop().await;
}
