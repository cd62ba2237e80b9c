//! Derived tables: checkpoints that are fences, leases.

use std::time::Duration;

use tiffin_eventstore::{
    Checkpoint, Cursor, Derived, DerivedError, EventStore, MigrateError, Migrations, OpenError, Position, Tx,
};
use tiffin_testkit::eventually;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::world::{World, grow};

const STEPS: Migrations = Migrations {
    sqlite: &["CREATE TABLE seen (position INTEGER PRIMARY KEY, by_whom TEXT NOT NULL) STRICT"],
    postgres: &["CREATE TABLE seen (position bigint PRIMARY KEY, by_whom text NOT NULL)"],
};

pub(crate) async fn derived(world: &World, store: &EventStore) -> Derived {
    Derived::migrate(&world.url(), "service", STEPS).await.unwrap();
    Derived::open(store, "service", STEPS).await.unwrap()
}

pub(crate) fn at(position: u64) -> Checkpoint {
    let cursor = Cursor {
        position: Position(position),
        event_id: Uuid::from_u128(position.into()),
    };
    Checkpoint {
        cursor,
        note: format!("note {position}").into(),
    }
}

pub(crate) async fn see(tx: &mut Tx, position: i64, by: &str) {
    const INSERT: &str = "INSERT INTO seen (position, by_whom) VALUES ($1, $2)";
    match tx {
        Tx::Sqlite(tx) => {
            sqlx::query(INSERT)
                .bind(position)
                .bind(by)
                .execute(&mut **tx)
                .await
                .unwrap();
        }
        Tx::Postgres(tx) => {
            sqlx::query(INSERT)
                .bind(position)
                .bind(by)
                .execute(&mut **tx)
                .await
                .unwrap();
        }
    }
}

pub(crate) async fn seen(derived: &Derived) -> Vec<(i64, String)> {
    let select = "SELECT position, by_whom FROM seen ORDER BY position";
    match derived.read().await.unwrap() {
        Tx::Sqlite(mut tx) => sqlx::query_as(select).fetch_all(&mut *tx).await.unwrap(),
        Tx::Postgres(mut tx) => sqlx::query_as(select).fetch_all(&mut *tx).await.unwrap(),
    }
}

pub(crate) async fn a_checkpoint_is_moved_only_from_where_it_is(world: World) {
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    assert_eq!(derived.checkpoint("relay").await.unwrap(), Checkpoint::default());
    let fenced =
        async |from: &Checkpoint, to: &Checkpoint| match derived.save("relay", &from.cursor, to).await {
            Ok(()) => false,
            Err(DerivedError::Fenced(name)) => name == "relay",
            Err(other) => panic!("{other}"),
        };
    assert!(fenced(&at(3), &at(4)).await, "there is none yet");
    assert!(!fenced(&Checkpoint::default(), &at(1)).await);
    assert!(
        fenced(&Checkpoint::default(), &at(2)).await,
        "it is not at the start any more"
    );
    let other = Checkpoint {
        cursor: Cursor {
            event_id: Uuid::nil(),
            ..at(1).cursor
        },
        ..at(1)
    };
    assert!(fenced(&other, &at(2)).await, "an event of another log");
    assert!(!fenced(&at(1), &at(2)).await);
    assert_eq!(derived.checkpoint("relay").await.unwrap(), at(2));
    assert_eq!(
        derived.checkpoint("another").await.unwrap(),
        Checkpoint::default()
    );
    assert!(
        !fenced(&at(2), &Checkpoint::default()).await,
        "back to the start, for a rebuild"
    );
    assert!(!fenced(&Checkpoint::default(), &at(1)).await);
}

pub(crate) async fn a_checkpoint_is_read_while_somebody_writes(world: World) {
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    derived.save("index", &Cursor::START, &at(1)).await.unwrap();
    let mut writing = derived.begin().await.unwrap();
    Derived::advance(&mut writing, "index", &at(1).cursor, &at(2))
        .await
        .unwrap();
    let read = tokio::time::timeout(Duration::from_secs(5), derived.checkpoint("index")).await;
    assert_eq!(read.expect("nobody waits for the writer").unwrap(), at(1));
    writing.commit().await.unwrap();
    assert_eq!(derived.checkpoint("index").await.unwrap(), at(2));
}

pub(crate) async fn a_paused_follower_that_wakes_after_another_took_over_changes_nothing(world: World) {
    let store = world.store().await;
    let paused = derived(&world, &store).await;
    let other = derived(&world, &store).await;
    let before = paused.checkpoint("index").await.unwrap().cursor;

    for position in 1..=2 {
        let from = other.checkpoint("index").await.unwrap().cursor;
        let mut tx = other.begin().await.unwrap();
        see(&mut tx, position, "other").await;
        Derived::advance(&mut tx, "index", &from, &at(position.unsigned_abs()))
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    let mut tx = paused.begin().await.unwrap();
    see(&mut tx, 3, "paused").await;
    let fenced = Derived::advance(&mut tx, "index", &before, &at(3)).await;
    assert!(matches!(fenced, Err(DerivedError::Fenced(_))), "{fenced:?}");
    tx.rollback().await.unwrap();

    assert_eq!(
        seen(&other).await,
        [(1, "other".to_owned()), (2, "other".to_owned())]
    );
    assert_eq!(other.checkpoint("index").await.unwrap(), at(2));
}

pub(crate) async fn an_effect_and_its_checkpoint_come_together_or_not_at_all(world: World) {
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    let mut tx = derived.begin().await.unwrap();
    see(&mut tx, 1, "me").await;
    Derived::advance(&mut tx, "index", &Cursor::START, &at(1))
        .await
        .unwrap();
    drop(tx);
    assert_eq!(seen(&derived).await, []);
    assert_eq!(derived.checkpoint("index").await.unwrap(), Checkpoint::default());
}

pub(crate) async fn a_follower_does_not_wait_for_the_log_nor_the_log_for_it(world: World) {
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    let mut tx = derived.begin().await.unwrap();
    see(&mut tx, 1, "me").await;
    grow(&store, "s", 3).await;
    tx.commit().await.unwrap();
    assert_eq!(seen(&derived).await.len(), 1);
}

pub(crate) async fn a_lease_has_one_holder_and_is_given_back(world: World) {
    let store = world.store().await;
    let (one, two) = (derived(&world, &store).await, derived(&world, &store).await);
    let (tasks, stop_one, stop_two) = (
        TaskTracker::new(),
        CancellationToken::new(),
        CancellationToken::new(),
    );
    let one = one.lease("relay", "one".into(), &tasks, stop_one.clone());
    eventually!(one.held(), |held| *held);
    let two = two.lease("relay", "two".into(), &tasks, stop_two.clone());
    let mut taken = two.watch();

    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        assert!(
            one.held() && !two.held(),
            "it is renewed for as long as its holder lives"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    stop_one.cancel();
    let given_back = Instant::now();
    taken.wait_for(|held| *held).await.unwrap();
    assert!(
        given_back.elapsed() < Duration::from_millis(1_200),
        "not after the term, but at the next question"
    );
    assert!(two.held() && !one.held());
    stop_two.cancel();
    tasks.close();
    tasks.wait().await;
    assert!(!two.held());
}

pub(crate) async fn a_lease_whose_holder_died_is_taken_over(world: World) {
    let store = world.store().await;
    let dying = derived(&world, &store).await;
    // It is renewed by a runtime of its own, which ends without giving anything back.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let guard = runtime.enter();
    let dead = dying.lease(
        "relay",
        "dying".into(),
        &TaskTracker::new(),
        CancellationToken::new(),
    );
    drop(guard);
    eventually!(dead.held(), |held| *held);
    runtime.shutdown_background();
    let died = Instant::now();
    let mut kept = dead.watch();
    while kept.changed().await.is_ok() {}
    assert!(
        !dead.held() && !*kept.borrow(),
        "a lease that nobody keeps is not held"
    );

    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let heir = derived(&world, &store)
        .await
        .lease("relay", "heir".into(), &tasks, stop.clone());
    heir.watch().wait_for(|held| *held).await.unwrap();
    assert!(!dead.held(), "never two at a time");
    assert!(died.elapsed() < Duration::from_millis(2_500));
    stop.cancel();
    tasks.close();
    tasks.wait().await;
}

pub(crate) async fn migrations_run_once_however_many_run_them(world: World) {
    let runs: Vec<_> = (0..16)
        .map(|n| {
            let url = world.url();
            tokio::spawn(async move {
                match n % 2 {
                    0 => EventStore::migrate(&url).await,
                    _ => Derived::migrate(&url, "service", STEPS).await,
                }
            })
        })
        .collect();
    for run in runs {
        run.await.unwrap().unwrap();
    }
    let store = world.store().await;
    grow(&store, "s", 2).await;
    assert_eq!(seen(&derived(&world, &store).await).await, []);
}

pub(crate) async fn old_tables_are_refused_and_newer_ones_are_not(world: World) {
    const LATER: Migrations = Migrations {
        sqlite: &[STEPS.sqlite[0], "ALTER TABLE seen ADD COLUMN more TEXT"],
        postgres: &[STEPS.postgres[0], "ALTER TABLE seen ADD COLUMN more text"],
    };
    const BROKEN: Migrations = Migrations {
        sqlite: &[STEPS.sqlite[0], "CREATE"],
        postgres: &[STEPS.postgres[0], "CREATE"],
    };

    let missing = EventStore::open(world.config()).await.err();
    assert!(
        matches!(
            missing,
            Some(OpenError::Schema {
                schema: "log",
                found: 0,
                needed: 1..
            })
        ),
        "{missing:?}"
    );
    let store = world.store().await;
    derived(&world, &store).await;
    let old = Derived::open(&store, "service", LATER).await.err();
    assert!(
        matches!(
            old,
            Some(OpenError::Schema {
                schema: "service",
                found: 1,
                needed: 2
            })
        ),
        "{old:?}"
    );
    let broken = Derived::migrate(&world.url(), "service", BROKEN).await;
    assert!(
        matches!(
            broken,
            Err(MigrateError::Step {
                schema: "service",
                version: 2,
                ..
            })
        ),
        "{broken:?}"
    );
    Derived::migrate(&world.url(), "service", LATER).await.unwrap();
    Derived::open(&store, "service", LATER).await.unwrap();
    derived(&world, &store).await;
}
