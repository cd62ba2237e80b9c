//! New orders are refused while too many wait; everything else goes on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tiffin_api::{AdmissionLimits, Config};
use tiffin_order::Status;
use tiffin_testkit::{Database, Postgres, eventually};
use tokio::task::JoinHandle;

use crate::harness::{Api, NO_NATS, Reply, WEB};

fn limit(waiting: usize) -> Config {
    limits(AdmissionLimits {
        waiting,
        hold_for: Duration::ZERO,
        ..AdmissionLimits::default()
    })
}

fn limits(admission: AdmissionLimits) -> Config {
    Config {
        admission,
        ..Config::default()
    }
}

async fn place(api: &Api) -> Reply {
    api.create(WEB, json!({ "products": [{ "name": "Dal", "quantity": 1 }] }))
        .await
}

/// The same, without waiting for the answer.
fn placing(api: &Arc<Api>) -> JoinHandle<Reply> {
    let api = Arc::clone(api);
    tokio::spawn(async move { place(&api).await })
}

fn is_refused(reply: &Reply) -> bool {
    says(reply, "OVERLOADED")
}

fn says(reply: &Reply, code: &str) -> bool {
    reply.json()["errors"][0]["extensions"]["code"] == code
}

/// The value of a metric.
fn shows(metrics: &str, name: &str) -> f64 {
    let value = metrics
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value
        .unwrap_or_else(|| panic!("no {name}: {metrics}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn an_order_too_many_is_refused_until_one_is_taken_up() {
    let api = Api::start_with(limit(3), NO_NATS).await;
    let first = api.some_order().await;
    // What the service knows of its own commits trails them by a moment.
    let refused = eventually!(place(&api).await, is_refused);
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(refused.error()["extensions"]["hint"].is_string());
    assert_eq!(refused.error()["extensions"]["retryAfterMs"], 5000);

    let head = api.head().await;
    assert!(is_refused(&place(&api).await));
    let metrics = api.metrics();
    assert!(
        shows(
            &metrics,
            "tiffin_api_refused_total{mutation=\"createOrder\",code=\"OVERLOADED\"}"
        ) >= 2.0,
        "{metrics}"
    );
    assert!(shows(&metrics, "tiffin_api_orders_waiting") >= 3.0, "{metrics}");
    assert!(
        shows(&metrics, "tiffin_api_orders_waiting_oldest_seconds") > 0.0,
        "{metrics}"
    );
    assert_eq!(
        api.order(WEB, &first).await.json()["data"]["order"]["id"],
        json!(first)
    );
    assert_eq!(api.head().await, head);

    let mut placed = 0;
    for event in api
        .store
        .read_all(
            tiffin_eventstore::Position::START,
            tiffin_eventstore::Direction::Forwards,
            100,
        )
        .await
        .unwrap()
    {
        let id = event.stream.as_str().trim_start_matches("order-").to_owned();
        api.carry_on(&id, Status::Paid).await;
        placed += 1;
    }
    assert!(placed >= 3);
    eventually!(place(&api).await, |reply| !is_refused(reply));
}

/// As many orders in progress and no more, whatever was answered before.
fn only(in_progress: usize) -> AdmissionLimits {
    AdmissionLimits {
        in_progress,
        answered_within: Duration::ZERO,
        hold_for: Duration::ZERO,
        ..AdmissionLimits::default()
    }
}

#[tokio::test]
async fn an_order_that_would_be_one_too_many_in_progress_is_refused_and_reads_go_on() {
    let api = Api::start().await;
    let known = api.some_order().await;
    let api = api.restart_with(limits(only(0))).await;
    let head = api.head().await;
    let refused = place(&api).await;
    assert!(is_refused(&refused));
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(api.head().await, head);
    assert_eq!(
        api.order(WEB, &known).await.json()["data"]["order"]["id"],
        json!(known)
    );
}

#[tokio::test]
async fn a_repeated_order_is_answered_where_a_new_one_is_refused() {
    let input = |key: &str| json!({ "products": [{ "name": "Dal", "quantity": 1 }], "idempotencyKey": key });
    let api = Api::start().await;
    let first = api.create(WEB, input("once-and-never-again")).await;
    let api = api.restart_with(limits(only(0))).await;
    let again = api.create(WEB, input("once-and-never-again")).await;
    assert_eq!(again.bytes, first.bytes);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert!(is_refused(&api.create(WEB, input("another-one-comes")).await));
}

/// An `api` on PostgreSQL where nobody can commit.
struct Paused {
    api: Arc<Api>,
    database: Database,
    holding: JoinHandle<String>,
}

impl Paused {
    async fn with(admission: AdmissionLimits) -> Self {
        let server = Postgres::shared().await;
        let database = server.database().await;
        let url = database.url.parse().unwrap();
        let api = Arc::new(Api::start_on(url, limits(admission), NO_NATS).await);
        api.some_order().await;
        // Whoever commits takes this lock, so that nobody can until there is a table `let_go`.
        let lock = "DO $$ BEGIN PERFORM pg_advisory_xact_lock(8388345983984919401); \
                    WHILE NOT EXISTS (SELECT FROM pg_class WHERE relname = 'let_go') LOOP PERFORM pg_sleep(0.01); END LOOP; \
                    END $$";
        let name = database.name.clone();
        let holding = tokio::spawn(async move { server.execute(Some(&name), lock.to_owned()).await });
        let is_locked = "SELECT count(*) FROM pg_locks JOIN pg_database ON database = pg_database.oid \
                         WHERE locktype = 'advisory' AND granted AND datname = current_database()";
        eventually!(
            server.execute(Some(&database.name), is_locked.to_owned()).await,
            |count: &String| count.trim() == "1"
        );
        Self {
            api,
            database,
            holding,
        }
    }

    /// Orders that wait for their commit; each is in progress before the next is placed.
    async fn wait(&self, orders: u8) -> Vec<JoinHandle<Reply>> {
        let mut waiting = Vec::new();
        for order in 1..=orders {
            waiting.push(placing(&self.api));
            eventually!(in_progress(&self.api), |count| *count >= f64::from(order));
        }
        waiting
    }

    /// Lets everybody commit; none of those who waited may have been refused.
    async fn go_on(self, waiting: Vec<JoinHandle<Reply>>) -> Arc<Api> {
        let table = "CREATE TABLE let_go ()".to_owned();
        Postgres::shared()
            .await
            .execute(Some(&self.database.name), table)
            .await;
        for placed in waiting {
            assert!(!is_refused(&placed.await.unwrap()));
        }
        self.holding.await.unwrap();
        self.api
    }
}

fn in_progress(api: &Api) -> f64 {
    shows(&api.metrics(), "tiffin_api_orders_in_progress")
}

#[tokio::test(flavor = "multi_thread")]
async fn while_one_order_waits_for_its_commit_the_next_is_refused() {
    let paused = Paused::with(AdmissionLimits {
        write_age: Duration::MAX,
        write_pause: Duration::MAX,
        ..only(1)
    })
    .await;
    let waiting = paused.wait(1).await;
    assert!(is_refused(&place(&paused.api).await));
    let api = paused.go_on(waiting).await;
    assert!(in_progress(&api) < 1.0);
    assert!(!is_refused(&place(&api).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_commits_pause_those_who_are_few_wait_and_one_more_is_refused() {
    let paused = Paused::with(AdmissionLimits {
        write_age: Duration::ZERO,
        write_pause: Duration::MAX,
        committed_at_once: 2,
        ..AdmissionLimits::default()
    })
    .await;
    let waiting = paused.wait(2).await;
    assert!(is_refused(&place(&paused.api).await));
    paused.go_on(waiting).await;
}

#[tokio::test]
async fn an_order_is_in_progress_until_it_is_answered_whatever_the_answer() {
    let api = Api::start_with(limits(only(1)), NO_NATS).await;
    for name in ["Dal", "Dal", "Naan"] {
        let input = json!({
            "products": [{ "name": name, "quantity": 1 }],
            "idempotencyKey": "once-and-never-again",
        });
        let reply = api.create(WEB, input).await;
        assert_eq!(
            says(&reply, "IDEMPOTENCY_KEY_REUSED"),
            name == "Naan",
            "{}",
            reply.json()
        );
        assert!(!is_refused(&reply));
    }
    assert!(shows(&api.metrics(), "tiffin_api_orders_in_progress") < 1.0);
}

/// Refuses every order, and holds one refusal back for longer than a test lasts.
fn holding() -> Config {
    let mut config = limits(AdmissionLimits {
        hold_for: Duration::from_hours(1),
        held_at_most: 1,
        ..only(0)
    });
    config.transport.request_timeout = Duration::from_hours(2);
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_held_back_unless_too_many_are() {
    let api = Arc::new(Api::start_with(holding(), NO_NATS).await);
    let held = placing(&api);
    let holds = || shows(&api.metrics(), "tiffin_api_refusals_held");
    eventually!(holds(), |holds| *holds > 0.0);
    assert!(is_refused(&place(&api).await));
    assert!(!held.is_finished());
    // The client goes away.
    held.abort();
    eventually!(holds(), |holds| *holds < 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_held_back_is_told_when_the_service_stops() {
    let api = Arc::new(Api::start_with(holding(), NO_NATS).await);
    let held = placing(&api);
    eventually!(shows(&api.metrics(), "tiffin_api_refusals_held"), |holds| *holds
        > 0.0);
    api.begin_to_stop();
    assert!(is_refused(&held.await.unwrap()));
}

#[tokio::test]
async fn a_refusal_is_held_back_for_half_of_a_requests_time_at_most() {
    let mut config = holding();
    config.transport.request_timeout = Duration::from_millis(400);
    let api = Api::start_with(config, NO_NATS).await;
    let begun = Instant::now();
    assert!(is_refused(&place(&api).await));
    assert!(begun.elapsed() >= Duration::from_millis(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_away_that_is_what_refuses_new_orders() {
    let server = Postgres::start().await;
    let database = server.database().await;
    let url = database.url.parse().unwrap();
    let api = Arc::new(Api::start_on(url, Config::default(), NO_NATS).await);
    api.some_order().await;
    server.kill().await;
    // The first one finds out.
    let first = placing(&api);
    let refused = eventually!(place(&api).await, |reply| says(reply, "UNAVAILABLE"));
    assert_eq!(
        (refused.status.as_u16(), refused.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(refused.error()["extensions"]["retryAfterMs"], 1000);
    first.await.unwrap();
    server.start_again().await;
    eventually!(place(&api).await, |reply| reply.status == 200
        && reply.json().get("errors").is_none());
}

#[tokio::test]
async fn a_service_that_starts_counts_the_orders_that_waited_before() {
    let api = Api::start().await;
    api.some_order().await;
    api.some_order().await;
    let api = api.restart_with(limit(2)).await;
    eventually!(place(&api).await, is_refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_starts_looks_no_further_back_than_there_can_be_orders_that_count() {
    for api in Api::start_on_both().await {
        for _ in 0..3 {
            api.some_order().await;
        }
        let api = api.restart_with(limit(1)).await;
        let waiting = || shows(&api.metrics(), "tiffin_api_orders_waiting");
        // Of the three, only the last is in reach of a limit of one.
        let counted = eventually!(waiting(), |waiting| *waiting > 0.0);
        assert!((counted - 1.0).abs() < f64::EPSILON, "{counted}");
        assert!(is_refused(&place(&api).await));
    }
}
