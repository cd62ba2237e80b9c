//! What becomes of connections to PostgreSQL: answers that are lost, servers that fall silent, restart or only read.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use tiffin_eventstore::{Checkpoint, Cursor, Derived, EventStore, Expected, Tx};
use tiffin_testkit::{Postgres, eventually};
use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    derived::{at, derived, see, seen},
    proxy::Proxy,
    world::{World, append, check_log, event, exact, grow, on_postgres, shown, start, whole_log},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_after_the_commit_is_written_once() {
    let world = World::postgres().await;
    world.store().await.close().await;
    let proxy = Proxy::to(&world.url()).await;
    let store = EventStore::open(proxy.config()).await.unwrap();
    grow(&store, "warm", 2).await;
    for (expected, cuts) in [
        (Expected::NoStream, 1),
        (exact(0), 3),
        (Expected::Any, 1),
        (Expected::StreamExists, 2),
    ] {
        proxy.swallow(b"cut here", cuts);
        let neighbours = (0..32).map(|n| start(&format!("{expected}-{n}"), vec![event("x")]));
        let cut = append("s", expected, vec![event("cut here")]);
        let appends = neighbours.chain([cut]).map(|append| store.append(append));
        let answers = timeout(Duration::from_secs(20), join_all(appends)).await.unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(proxy.left(), 0, "the answers were swallowed");
    }
    let log = whole_log(&store).await;
    assert_eq!(log.len(), 2 + 4 * 33);
    check_log(&log);
    let mut subscription = store.subscribe(Cursor::START);
    let mut seen = Vec::new();
    while seen.len() < log.len() {
        seen.extend(subscription.next().await.unwrap());
    }
    assert_eq!(seen, log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fell_silent_is_left_for_the_one_in_its_place() {
    let world = World::postgres().await;
    world.store().await.close().await;
    let proxy = Proxy::to(&world.url()).await;
    let store = EventStore::open(proxy.config()).await.unwrap();
    let derived = derived(&world, &store).await;
    grow(&store, "s", 1).await;
    derived.save("index", &Cursor::START, &at(1)).await.unwrap();
    // Every connection of every pool is in use once.
    join_all((0..8).map(|_| store.read_after(Cursor::START, 9))).await;
    join_all((0..8).map(|_| derived.checkpoint("index"))).await;
    proxy.fall_silent();
    let goes_on = async {
        let appending = grow(&store, "t", 1);
        let reading = async {
            eventually!(within Duration::from_mins(1), store.read_after(Cursor::START, 9).await, Result::is_ok)
                .unwrap();
        };
        let looking = async {
            eventually!(within Duration::from_mins(1), derived.checkpoint("index").await, Result::is_ok)
                .unwrap();
        };
        let saving = async {
            let save = async || derived.save("index", &at(1).cursor, &at(2)).await;
            eventually!(within Duration::from_mins(1), save().await, Result::is_ok).unwrap();
        };
        tokio::join!(appending, reading, looking, saving);
    };
    timeout(Duration::from_mins(2), goes_on).await.unwrap();
    assert_eq!(whole_log(&store).await.len(), 2);
    assert_eq!(derived.checkpoint("index").await.unwrap(), at(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_let_go_amid_a_statement_is_undone() {
    let world = World::postgres().await;
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    let mut tx = derived.begin().await.unwrap();
    see(&mut tx, 1, "let go").await;
    let sleeping = sqlx::query("SELECT pg_sleep(0.5)").execute(on_postgres(&mut tx));
    assert!(timeout(Duration::from_millis(100), sleeping).await.is_err());
    drop(tx);
    let mut next = derived.begin().await.unwrap();
    see(&mut next, 1, "next").await;
    next.commit().await.unwrap();
    assert_eq!(seen(&derived).await, [(1, "next".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_let_go_amid_a_question_serves_on_unless_the_answer_takes_long() {
    let world = World::postgres().await;
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    // Of two that read this is the other one.
    let _other = derived.read().await.unwrap();
    let serving_after = async |question: &'static str| {
        let mut tx = derived.read().await.unwrap();
        let serving = server_process(&mut tx).await;
        let answer = sqlx::query(question).execute(on_postgres(&mut tx));
        assert!(timeout(Duration::from_millis(100), answer).await.is_err());
        drop(tx);
        let mut next = derived.read().await.unwrap();
        server_process(&mut next).await == serving
    };
    assert!(serving_after("SELECT pg_sleep(0.3)").await);
    assert!(!serving_after("SELECT pg_sleep(4)").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_reads_is_left_as_soon_as_another_one_writes() {
    let world = World::postgres().await;
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let lease = derived.lease("relay", "me".into(), &tasks, stop.clone());
    eventually!(lease.held(), |held| *held);
    let mut raw = world.raw_postgres().await;
    // Like a balancer that leads to a standby: each connection is to stay with what it met.
    let database: String = sqlx::query_scalar("SELECT current_database()")
        .fetch_one(&mut raw)
        .await
        .unwrap();
    let leads_to_standby = async |raw: &mut PgConnection, yes: bool| {
        let set = format!("ALTER DATABASE \"{database}\" SET default_transaction_read_only = {yes}");
        raw.execute(AssertSqlSafe(set)).await.unwrap();
    };
    leads_to_standby(&mut raw, true).await;
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tiffin' \
         AND datname = current_database()";
    raw.execute(kill).await.unwrap();
    let appending = tokio::spawn({
        let store = store.clone();
        async move { store.append(start("s", vec![event("1")])).await }
    });
    let save = async || derived.save("index", &Cursor::START, &at(1)).await;
    eventually!(store.trouble(), |fault| fault
        .as_ref()
        .is_some_and(|fault| fault.to_string().contains("read-only")));
    eventually!(lease.held(), |held| !*held);
    let troubled = || {
        let troubles = store.troubles().into_iter();
        troubles.map(|(schema, _)| schema).collect::<Vec<_>>()
    };
    eventually!(troubled(), |schemas| *schemas == ["log", "service"]);
    assert!(shown(&store).contains("tiffin_database_writable{schema=\"service\"} 0\n"));
    let refused = eventually!(save().await, |saved| saved
        .as_ref()
        .is_err_and(|error| error.to_string().contains("read-only")));
    assert!(refused.is_err());
    leads_to_standby(&mut raw, false).await;
    timeout(Duration::from_secs(20), appending)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    eventually!(lease.held(), |held| *held);
    eventually!(save().await, Result::is_ok).unwrap();
    eventually!(troubled(), Vec::is_empty);
    stop.cancel();
}

/// Which process of the server serves a transaction.
async fn server_process(tx: &mut Tx) -> i32 {
    let pid = sqlx::query_scalar("SELECT pg_backend_pid()");
    pid.fetch_one(on_postgres(tx)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_opened_though_the_connection_is_cut_at_any_step() {
    let world = World::postgres().await;
    grow(&world.store().await, "s", 1).await;
    let proxy = Proxy::to(&world.url()).await;
    for step in [
        "current_setting",
        "schema_versions",
        "recorded_v1",
        "clock_timestamp",
    ] {
        proxy.swallow(step.as_bytes(), 2);
        let store = EventStore::open(proxy.config()).await.unwrap();
        assert_eq!(proxy.left(), 0, "{step} was not swallowed");
        store.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_immediate_restart_of_the_server_costs_time_and_nothing_else() {
    let server = Postgres::start().await;
    let world = World::Postgres(server.database().await);
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    let mut subscription = store.subscribe(Cursor::START);
    let appenders: Vec<_> = (0..16)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { grow(&store, &format!("s-{n}"), 300).await })
        })
        .collect();
    let mut followed: Vec<Arc<_>> = Vec::new();
    for round in 1..=2 {
        while followed.len() < round * 500 {
            followed.extend(subscription.next().await.unwrap());
        }
        let place = derived.checkpoint("index").await.unwrap();
        server.restart().await;
        save(&derived, &place.cursor, &at(round as u64)).await;
        assert_eq!(seen(&derived).await, []);
    }
    for appender in appenders {
        timeout(Duration::from_mins(1), appender).await.unwrap().unwrap();
    }
    while followed.len() < 16 * 300 {
        followed.extend(
            timeout(Duration::from_secs(20), subscription.next())
                .await
                .unwrap()
                .unwrap(),
        );
    }
    check_log(&followed);
    assert_eq!(whole_log(&store).await, followed);
}

/// Goes on until the database has answered, as every follower does.
async fn save(derived: &Derived, from: &Cursor, to: &Checkpoint) {
    while let Err(error) = derived.save("index", from, to).await {
        let done = derived.checkpoint("index").await;
        if done.is_ok_and(|place| place.cursor == to.cursor) {
            return;
        }
        assert!(error.passes(), "{error}");
    }
}
