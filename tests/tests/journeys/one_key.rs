//! One key, one order; one order, one winner.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use futures::future::join_all;
use serde_json::Value;
use tiffin_testkit::eventually;
use tiffin_tests::{
    client::{Client, Outcome, id},
    stack::{Setting, Stack, waits},
    torture::{audit, history::Evidence},
};

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_creations_with_one_key_make_one_order_though_the_api_is_killed_among_them() {
    let mut stack = Stack::start(&Setting::default()).await.unwrap();
    let client = stack.client();
    let met = Arc::new(AtomicUsize::new(0));
    for round in 0..5 {
        let key = format!("the-only-key-of-round-{round}");
        let clients = (0..64).map(|_| {
            let (client, key, met) = (client.clone(), key.clone(), Arc::clone(&met));
            tokio::spawn(async move {
                let first = client.create("soup", Some(&key)).await;
                // A request that was on its way; one that found nobody is only early or late.
                if matches!(first, Outcome::Unknown(_)) {
                    met.fetch_add(1, Ordering::Relaxed);
                }
                client.place("soup", &key).await.unwrap().to_string()
            })
        });
        let clients: Vec<_> = clients.collect();
        tokio::time::sleep(Duration::from_millis(5 * round)).await;
        let api = stack.api.remove(0);
        api.process.kill();
        stack.api.push(api.again());
        let answers: BTreeSet<String> = join_all(clients).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.len(), 1, "{answers:?}");
        let other = client.create("salad", Some(&key)).await;
        assert_eq!(other, Outcome::Refused("IDEMPOTENCY_KEY_REUSED".to_owned()));
    }
    let met = met.load(Ordering::Relaxed);
    println!("{met} of 320 requests met a kill");
    assert!(met > 0, "no kill met a request");
    let log = audit::log(&stack.database.url).await.unwrap();
    let evidence = Evidence {
        log,
        ..Evidence::default()
    };
    assert_eq!(evidence.streams().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_cancellation_and_a_due_timer_exactly_one_wins() {
    const ORDERS: u64 = 1_000;
    let setting = Setting {
        waits: waits(["0s", "0s", "3s", "0s"]),
        ..Setting::default()
    };
    let stack = Stack::start(&setting).await.unwrap();
    let client = stack.client();
    let races = (0..ORDERS).map(async |number| {
        // A hundred customers a second.
        tokio::time::sleep(Duration::from_millis(10 * number)).await;
        race(&client, number).await
    });
    let cancelled = join_all(races)
        .await
        .into_iter()
        .map(Result::unwrap)
        .filter(|won| *won)
        .count();
    let timers = ORDERS - u64::try_from(cancelled).unwrap();
    println!("{cancelled} cancellations won, and {timers} timers");
    assert!(
        cancelled > 50 && timers > 50,
        "{cancelled} to {timers} is not a race"
    );
}

/// What an order goes through if nobody cancels it.
const WAY: [&str; 5] = ["PENDING", "PAID", "PREPARING", "OUT_FOR_DELIVERY", "DELIVERED"];

/// How much of its way an order may have behind it and be cancelled.
const CANCELLABLE: usize = 3;

/// Cancels an order at about the time at which it goes out for delivery; whether the cancellation won. Whoever lost
/// left no trace.
async fn race(client: &Client, number: u64) -> Result<bool> {
    let order = client
        .place("a dish that may be late", &format!("racing-customer-{number}"))
        .await?;
    tokio::time::sleep(Duration::from_millis(2_900 + number % 200)).await;
    let won = match client.call_off(id(&order)).await {
        Ok(order) => {
            assert_eq!(order["status"], "CANCELLED");
            true
        }
        Err(code) => {
            assert_eq!(code, "ORDER_NOT_CANCELLABLE");
            false
        }
    };
    let end = eventually!(client.order(id(&order)).await, is_over);
    let Outcome::Done(order) = end else {
        bail!("{end:?}")
    };
    let timeline = order["timeline"].as_array().context("no timeline")?;
    let visible = timeline.iter().filter(|change| !change["version"].is_null());
    let mut story: Vec<&Value> = visible.map(|change| &change["status"]).collect();
    if won {
        assert_eq!(story.pop().context("no change")?, "CANCELLED");
        // On a busy machine the order may not have come further.
        assert!(story.len() <= CANCELLABLE, "{story:?}");
    } else {
        assert_eq!(story.len(), WAY.len(), "{story:?}");
    }
    assert_eq!(story, WAY[..story.len()]);
    Ok(won)
}

fn is_over(order: &Outcome) -> bool {
    matches!(order, Outcome::Done(order) if order["status"] == "CANCELLED" || order["status"] == "DELIVERED")
}
