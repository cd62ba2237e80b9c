//! `tiffin dev`: the three services in one process, on SQLite.

use std::time::Duration;

use tiffin_testkit::{NatsServer, Service, eventually};
use tiffin_tests::{
    client::{After, Client, id},
    screen::{Clock, Screen, WHOLE, story},
    stack::{API_KEY, Dev, waits},
    torture::{Ledger, audit, crowd::Crowd, history::Evidence, ledger::Demands},
};
use tokio::time::{Instant, sleep};

/// Far more than a restart of everything takes.
const PATIENCE: Duration = Duration::from_secs(30);

fn killed(service: Service) -> Service {
    service.process.kill();
    service.again()
}

/// Waits until 25 more customers have their answers.
async fn served(crowd: &Crowd) {
    let answered = || crowd.count(|placement| placement.acknowledged.is_some());
    let before = answered();
    eventually!(within PATIENCE, answered(), |now| *now >= before + 25);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_missed_though_the_process_is_killed_and_the_broker_wiped() {
    let nats = NatsServer::start().await;
    let mut dev = Dev::start(&nats, &waits(["0s", "1s", "1s", "1s"])).await.unwrap();
    let crowd = Crowd::new(Duration::from_millis(50), dev.client());
    for round in 0..8 {
        served(&crowd).await;
        if round % 4 == 3 {
            nats.wipe().await;
        } else {
            dev.service = killed(dev.service);
        }
    }
    served(&crowd).await;
    let placements = crowd
        .leave(Instant::now() + Duration::from_secs(20))
        .await
        .unwrap();
    let orders = placements.len();
    let published = async || {
        audit::stream(&nats.url(), "ORDER_UPDATED")
            .await
            .map(|ids| ids.len())
            .ok()
    };
    eventually!(published().await, |count| *count
        == Some(orders * (WHOLE.len() - 1)));
    dev.service.process.terminate();
    let ended = dev.service.process.wait(Duration::from_secs(25));
    assert!(ended.success(), "{ended}: {}", dev.service.process.output());
    // The folder is free again, so the log can be read.
    let mut evidence = Evidence {
        placements,
        ..Evidence::default()
    };
    audit::read(&mut evidence, &dev.database_url(), &nats.url())
        .await
        .unwrap();
    let ledger = Ledger::new(&evidence, Demands { open: 0, early: 0 });
    assert!(ledger.is_clean(), "{ledger}");
    assert!(ledger.acknowledged > 100, "{ledger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_that_were_due_while_the_process_was_down_fire_soon_after_its_start() {
    let nats = NatsServer::start().await;
    let mut dev = Dev::start(&nats, &waits(["0s", "2s", "1s", "1s"])).await.unwrap();
    let (client, clock) = (dev.client(), Clock::read().await.unwrap());
    let mut orders = Vec::new();
    for number in 0..20 {
        let order = client
            .place("soup", &format!("on-one-laptop-number-{number}"))
            .await
            .unwrap();
        let mut screen = Screen::new(&client, id(&order), After::Version(1), clock)
            .await
            .unwrap();
        assert_eq!(screen.next().await.unwrap().unwrap().status, "PAID");
        orders.push(id(&order).to_owned());
    }
    dev.service.process.kill();
    // Down until a second after every timer was due.
    sleep(Duration::from_secs(3)).await;
    let restarted = clock.now();
    dev.service = dev.service.again();
    dev.service.ready().await;
    let mut overslept = 0;
    for order in &orders {
        let screen = Screen::new(&client, order, After::Version(0), clock)
            .await
            .unwrap();
        let updates = screen.to_the_end().await.unwrap();
        assert_eq!(story(&updates), WHOLE);
        overslept += usize::from(updates[2].committed > restarted);
        let late = updates[2].committed - restarted;
        assert!(
            late < Duration::from_secs(2),
            "PREPARING came {late} after the start"
        );
    }
    assert!(overslept > 0, "every timer had fired before the kill");
    // A customer who asks for what is not there yet is answered with what is.
    let client = Client::new(&[dev.service.url()], &[dev.service.url()], API_KEY);
    let screen = Screen::new(&client, &orders[0], After::Version(9), clock)
        .await
        .unwrap();
    assert_eq!(story(&screen.to_the_end().await.unwrap()), WHOLE[4..]);
}
