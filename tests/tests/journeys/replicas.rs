//! Two of each service work as one, and any of them may be stopped.

use std::time::Duration;

use tiffin_testkit::{Service, eventually};
use tiffin_tests::{
    stack::{Setting, Stack},
    torture::{Ledger, audit, crowd::Crowd, history::Evidence, ledger::Demands},
};
use tokio::time::Instant;

/// How long orders of three seconds may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn stopping_one_replica_at_a_time_fails_no_request_and_loses_no_update() {
    let setting = Setting {
        replicas: 2,
        ..Setting::default()
    };
    let mut stack = Stack::start(&setting).await.unwrap();
    let crowd = Crowd::new(Duration::from_millis(50), stack.client());
    // From the first delivery on there are orders at every step.
    eventually!(within PATIENCE, crowd.count(|placement| placement.completed), |delivered| *delivered > 0);
    for services in [&mut stack.api, &mut stack.orders, &mut stack.notifier] {
        for _ in 0..2 {
            let service = services.remove(0);
            let service = tokio::task::spawn_blocking(|| stopped(service)).await.unwrap();
            service.ready().await;
            services.push(service);
        }
    }
    let placements = crowd
        .leave(Instant::now() + Duration::from_secs(20))
        .await
        .unwrap();
    for placed in &placements {
        assert_eq!(
            (placed.unknown, placed.refused),
            (0, 0),
            "a client noticed: {placed:#?}"
        );
    }
    let mut evidence = Evidence {
        placements,
        ..Evidence::default()
    };
    let demands = Demands { open: 0, early: 0 };
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        audit::read(&mut evidence, &stack.database.url, &stack.nats.url())
            .await
            .unwrap();
        let ledger = Ledger::new(&evidence, demands);
        if ledger.is_clean() {
            break;
        }
        assert!(Instant::now() < deadline, "{ledger}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(evidence.placements.len() > 60);
}

/// Stops a service in order and starts it again.
fn stopped(service: Service) -> Service {
    service.process.terminate();
    let status = service.process.wait(Duration::from_secs(25));
    assert!(
        status.success(),
        "it ended with {status}: {}",
        service.process.output()
    );
    service.again()
}
