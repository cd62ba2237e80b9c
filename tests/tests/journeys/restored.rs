//! A database that is restored to an earlier state under running services.

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tiffin_testkit::{Postgres, eventually};
use tiffin_tests::{
    client::{After, Client, Outcome, id},
    screen::{Clock, Screen, WHOLE, story},
    stack::{Setting, Stack, waits},
    torture::{Ledger, audit, history::Evidence, ledger::Demands},
};

/// Places ten orders.
async fn place(client: &Client, product: &str) -> Vec<String> {
    let mut orders = Vec::new();
    for number in 0..10 {
        let key = format!("the key of {product} {number}");
        let order = client.place(product, &key).await.expect("an order");
        orders.push(id(&order).to_owned());
    }
    orders
}

async fn delivered(client: &Client, order: &str, clock: Clock) {
    let screen = Screen::new(client, order, After::Version(0), clock)
        .await
        .expect("a subscription");
    let updates = tokio::time::timeout(Duration::from_secs(20), screen.to_the_end()).await;
    let updates = updates.expect("an end").expect("updates");
    assert_eq!(story(&updates), WHOLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_noticed_and_everything_goes_on_from_there() {
    let postgres = Postgres::start().await;
    let setting = Setting {
        waits: waits(["0s", "1s", "3s", "1s"]),
        postgres: Some(postgres.clone()),
        ..Setting::default()
    };
    let stack = Stack::start(&setting).await.unwrap();
    let (client, clock) = (stack.client(), Clock::read().await.unwrap());
    let kept = place(&client, "kept").await;
    let mut screen = Screen::new(&client, &kept[0], After::Version(1), clock)
        .await
        .unwrap();
    assert_eq!(screen.next().await.unwrap().unwrap().status, "PAID");
    postgres.back_up().await;
    let gone = place(&client, "gone").await;
    let all = kept.iter().chain(&gone);
    join_all(all.map(|order| delivered(&client, order, clock))).await;
    postgres.restore().await;

    // What was open then is open again, and is finished; what came later never was.
    join_all(kept.iter().map(|order| delivered(&client, order, clock))).await;
    for order in &gone {
        let read = eventually!(client.order(order).await, |order| !matches!(
            order,
            Outcome::Unknown(_)
        ));
        assert_eq!(read, Outcome::Done(Value::Null));
    }
    let new = place(&client, "new").await;
    join_all(new.iter().map(|order| delivered(&client, order, clock))).await;
    for service in stack.services() {
        assert!(service.process.output().contains("the log was replaced"));
    }

    // Every event of the log is on the bus, though the bus also holds what the log has lost.
    let missing = async || {
        let mut evidence = Evidence::default();
        audit::read(&mut evidence, &stack.database.url, &stack.nats.url())
            .await
            .unwrap();
        let ledger = Ledger::new(&evidence, Demands { open: 0, early: 0 });
        assert_eq!(ledger.count("versions not 1..n"), 0, "{ledger}");
        ledger.count("events missing from the two streams")
    };
    eventually!(missing().await, |missing| *missing == 0);
}
