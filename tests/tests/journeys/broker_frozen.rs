//! The broker makes things sooner, never possible.

use std::time::Duration;

use futures::future::try_join_all;
use tiffin_testkit::Service;
use tiffin_tests::{
    client::{After, Client, id},
    screen::{Clock, Screen, Update, WHOLE, story},
    stack::{Setting, Stack, waits},
};
use time::OffsetDateTime;

const SOON: Duration = Duration::from_secs(2);

async fn place(client: &Client, product: &str) -> String {
    let order = client
        .place(product, &format!("the key of {product}"))
        .await
        .expect("an order");
    id(&order).to_owned()
}

async fn watch(client: &Client, id: &str, clock: Clock) -> anyhow::Result<Vec<Update>> {
    Screen::new(client, id, After::Version(0), clock)
        .await?
        .to_the_end()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_broker_frozen_orders_are_taken_started_and_shown_soon() {
    let stack = Stack::start(&Setting::default()).await.unwrap();
    let (client, clock) = (stack.client(), Clock::read().await.unwrap());
    let mut orders = Vec::new();
    for number in 0..5 {
        orders.push(place(&client, &format!("before {number}")).await);
    }
    stack.nats.pause();
    for number in 0..5 {
        orders.push(place(&client, &format!("while frozen {number}")).await);
    }
    let screens = orders.iter().map(|id| watch(&client, id, clock));
    let limit = Duration::from_secs(30);
    let screens = tokio::time::timeout(limit, try_join_all(screens)).await;
    stack.nats.resume();
    for updates in screens.expect("every order ends").unwrap() {
        assert_eq!(story(&updates), WHOLE);
        for update in &updates[1..] {
            assert!(update.delay() < SOON, "{update:?} took {:?}", update.delay());
        }
        let started = updates[1].committed - updates[0].committed;
        assert!(started < Duration::from_secs(5), "started after {started}");
    }
    // And once the broker answers again, it is of use again.
    let id = place(&client, "after").await;
    assert_eq!(story(&watch(&client, &id, clock).await.unwrap()), WHOLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_that_were_due_while_everything_was_down_fire_soon_after_the_restart() {
    let setting = Setting {
        waits: waits(["0s", "3s", "1s", "1s"]),
        ..Setting::default()
    };
    let mut stack = Stack::start(&setting).await.unwrap();
    let (client, clock) = (stack.client(), Clock::read().await.unwrap());
    let mut orders = Vec::new();
    for number in 0..20 {
        orders.push(place(&client, &format!("dish {number}")).await);
    }
    for id in &orders {
        let mut screen = Screen::new(&client, id, After::Version(1), clock).await.unwrap();
        assert_eq!(screen.next().await.unwrap().unwrap().status, "PAID");
    }
    stack.nats.kill().await;
    for service in stack.services() {
        service.process.kill();
    }
    let down = clock.now();
    // Down until a second after every timer was due.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let restarted = clock.now();
    stack.nats.restart().await;
    stack = stack.again();
    for service in stack.services() {
        Service::ready(service).await;
    }
    let mut overslept = 0;
    for id in &orders {
        let updates = watch(&client, id, clock).await.unwrap();
        assert_eq!(story(&updates), WHOLE);
        let prepared = updates[2].committed;
        assert!(
            !was_between(prepared, down, restarted),
            "nobody was there: {updates:?}"
        );
        let late = prepared - restarted;
        assert!(late < SOON, "PREPARING came {late} after the restart");
        overslept += usize::from(prepared > restarted);
    }
    assert!(overslept > 0, "every timer had fired before all was killed");
}

fn was_between(time: OffsetDateTime, from: OffsetDateTime, to: OffsetDateTime) -> bool {
    from < time && time < to
}
