//! What holds where several processes share a log: PostgreSQL only.

use std::time::Duration;

use futures::future::join_all;
use sqlx::{Connection, PgConnection};
use tiffin_eventstore::{
    AppendError, Cursor, DatabaseUrl, Derived, DerivedError, EventStore, Expected, Fault, OpenError, Position,
};
use tiffin_testkit::{Postgres, eventually};
use tokio::time::timeout;

use crate::{
    derived::{at, derived, see, seen},
    world::{World, append, check_log, conflict, cursor, event, exact, grow, start, whole_log},
};

async fn two_stores(world: &World, poll: Duration) -> (EventStore, EventStore) {
    let mut config = world.config();
    config.poll = poll;
    (
        world.store_with(config.clone()).await,
        world.store_with(config).await,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_commits_is_found_by_looking_now_and_then() {
    let world = World::postgres().await;
    let (mine, other) = two_stores(&world, Duration::from_millis(100)).await;
    let mut subscription = mine.subscribe(Cursor::START);
    let written = grow(&other, "s", 1).await;
    assert_eq!(subscription.next().await.unwrap(), written);
    assert_eq!(mine.read_after(cursor(&written), 9).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nudge_brings_what_another_process_committed_at_once() {
    let world = World::postgres().await;
    let (mine, other) = two_stores(&world, Duration::from_hours(1)).await;
    let mut subscription = mine.subscribe(Cursor::START);
    let mut committed = other.committed();
    let written = grow(&other, "s", 1).await;
    committed.changed().await.unwrap();
    assert_eq!(*committed.borrow(), Position(1));
    assert_eq!(
        *mine.committed().borrow(),
        Position(0),
        "only one's own commits are announced"
    );
    mine.nudge(Position(1));
    let seen = timeout(Duration::from_secs(5), subscription.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(seen, written);
    let next = grow(&other, "t", 1).await;
    assert_eq!(
        mine.read_after(cursor(&seen), 9).await.unwrap(),
        next,
        "a read does not wait for a nudge"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_is_known_to_have_committed_can_be_waited_for() {
    let world = World::postgres().await;
    let (mine, other) = two_stores(&world, Duration::from_hours(1)).await;
    let reached = async |position| timeout(Duration::from_secs(5), mine.reached(Position(position))).await;
    assert_eq!(
        reached(1).await,
        Ok(()),
        "where nobody follows there is nothing to wait for"
    );
    let mut subscription = mine.subscribe(Cursor::START);
    let first = grow(&other, "r", 1).await;
    mine.nudge(Position(1));
    assert_eq!(subscription.next().await.unwrap(), first);
    let written = grow(&other, "s", 1).await;
    let mut later = Box::pin(reached(3));
    assert_eq!(reached(2).await, Ok(()));
    assert_eq!(
        mine.recent(cursor(&written)).as_slice(),
        written,
        "it is in memory now"
    );
    assert!(
        futures::poll!(&mut later).is_pending(),
        "nobody has committed that"
    );
    grow(&other, "t", 1).await;
    mine.nudge(Position(3));
    assert_eq!(later.await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_race_for_a_stream_and_each_revision_has_one_winner() {
    let world = World::postgres().await;
    let (one, two) = two_stores(&world, Duration::from_millis(500)).await;
    grow(&one, "s", 1).await;
    for revision in 0..20 {
        let race = (0..32).map(|n| {
            let store = if n % 2 == 0 { &one } else { &two };
            store.append(append("s", exact(revision), vec![event("x")]))
        });
        let (won, lost): (Vec<_>, Vec<_>) = join_all(race).await.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1);
        for lost in lost {
            assert_eq!(conflict(lost).unwrap().0, revision + 1);
        }
    }
    let anything = (0..64).map(|n| {
        let store = if n % 2 == 0 { &one } else { &two };
        store.append(append("s", Expected::Any, vec![event("x")]))
    });
    assert!(join_all(anything).await.iter().all(Result::is_ok));
    let log = whole_log(&one).await;
    assert_eq!(log.len(), 1 + 20 + 64);
    check_log(&log);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_paused_within_its_transaction_changes_nothing() {
    let world = World::postgres().await;
    let store = world.store().await;
    let (paused, other) = (derived(&world, &store).await, derived(&world, &store).await);
    let mut pausing = paused.begin().await.unwrap();
    see(&mut pausing, 2, "paused").await;
    let mut tx = other.begin().await.unwrap();
    see(&mut tx, 1, "other").await;
    Derived::advance(&mut tx, "index", &Cursor::START, &at(1))
        .await
        .unwrap();
    let waking = tokio::spawn(async move {
        let moved = Derived::advance(&mut pausing, "index", &Cursor::START, &at(2)).await;
        pausing.rollback().await.unwrap();
        moved
    });
    tx.commit().await.unwrap();
    assert!(matches!(waking.await.unwrap(), Err(DerivedError::Fenced(_))));
    assert_eq!(seen(&other).await, [(1, "other".to_owned())]);
    assert_eq!(other.checkpoint("index").await.unwrap(), at(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_may_lose_what_it_acknowledged_is_refused() {
    let server = Postgres::start().await;
    let database = server.database().await;
    let name = database.name.clone();
    let world = World::Postgres(database);
    world.store().await.close().await;
    let refused = async || match EventStore::open(world.config()).await.err() {
        Some(OpenError::Unsafe { setting, value, .. }) => Some((setting, value)),
        Some(other) => panic!("{other}"),
        None => None,
    };
    server
        .execute(
            None,
            format!("ALTER DATABASE {name} SET synchronous_commit = off"),
        )
        .await;
    assert_eq!(refused().await, Some(("synchronous_commit", "off".to_owned())));
    server
        .execute(None, format!("ALTER DATABASE {name} RESET synchronous_commit"))
        .await;
    assert_eq!(refused().await, None);
    server.execute(None, "ALTER SYSTEM SET fsync = off".into()).await;
    server.execute(None, "SELECT pg_reload_conf()".into()).await;
    eventually!(refused().await, |refused| *refused
        == Some(("fsync", "off".to_owned())));
}

const CALL: &str = "SELECT * FROM log.append_v1(0, gen_random_uuid(), '{foreign}', '{-1}', '{1}', \
     ARRAY[gen_random_uuid()], '{t}', '{x}', '{x}')";

#[tokio::test(flavor = "multi_thread")]
async fn the_function_itself_refuses_what_would_break_the_order_of_commits() {
    let world = World::postgres().await;
    let store = world.store().await;
    let mut raw = world.raw_postgres().await;
    for unsafe_ in [
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "SET LOCAL synchronous_commit = off",
    ] {
        let mut tx = raw.begin().await.unwrap();
        sqlx::raw_sql(unsafe_).execute(&mut *tx).await.unwrap();
        let error = sqlx::raw_sql(CALL).execute(&mut *tx).await.unwrap_err();
        assert_eq!(
            error.as_database_error().unwrap().code().unwrap(),
            "TF002",
            "{unsafe_}"
        );
    }
    sqlx::raw_sql(CALL).execute(&mut raw).await.unwrap();
    let log = whole_log(&store).await;
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].stream.as_str(), "foreign");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pooler_without_prepared_statements_makes_of_them_is_said_in_words_that_help() {
    let world = World::postgres().await;
    let mut raw = world.raw_postgres().await;
    let prepare = "PREPARE sqlx_s_1 AS SELECT 1";
    sqlx::raw_sql(prepare).execute(&mut raw).await.unwrap();
    let fault = Fault::from(sqlx::raw_sql(prepare).execute(&mut raw).await.unwrap_err());
    assert_eq!(
        OpenError::from(fault).to_string(),
        "the database cannot be opened: prepared statement \"sqlx_s_1\" already exists; a pooler between has to keep \
         prepared statements: PgBouncer 1.21 or later with max_prepared_statements, or in session mode"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_may_be_given_the_right_to_start_streams_and_no_other() {
    let world = World::postgres().await;
    grow(&world.store().await, "s", 1).await;
    let mut raw = world.raw_postgres().await;
    let role = format!("starter_{}", uuid::Uuid::now_v7().simple());
    let grants = format!(
        "CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA log TO {role}; \
         GRANT SELECT ON ALL TABLES IN SCHEMA log TO {role}; GRANT EXECUTE ON FUNCTION log.start_v1 TO {role}"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grants))
        .execute(&mut raw)
        .await
        .unwrap();
    let DatabaseUrl::Postgres(url) = world.url() else {
        panic!("PostgreSQL")
    };
    let mut config = world.config();
    config.url = DatabaseUrl::Postgres(url.replace("//postgres@", &format!("//{role}@")));
    let store = EventStore::open(config.clone()).await.unwrap();
    store.append(start("t", vec![event("x")])).await.unwrap();
    let refused = store.append(append("s", exact(0), vec![event("x")])).await;
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    store.append(start("u", vec![event("x")])).await.unwrap();

    let DatabaseUrl::Postgres(url) = config.url else {
        panic!("PostgreSQL")
    };
    let mut restricted = PgConnection::connect(&url).await.unwrap();
    let insert = "INSERT INTO log.events SELECT * FROM log.events LIMIT 0";
    assert!(sqlx::raw_sql(insert).execute(&mut restricted).await.is_err());
    assert!(sqlx::raw_sql(CALL).execute(&mut restricted).await.is_err());
    check_log(&whole_log(&store).await);
    drop(store);
    let clean = format!("DROP OWNED BY {role}; DROP ROLE {role}");
    restricted.close().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(clean))
        .execute(&mut raw)
        .await
        .unwrap();
}
