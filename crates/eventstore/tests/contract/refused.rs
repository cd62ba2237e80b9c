//! What is told of tables that cannot be read or written.

use sqlx::Executor;
use tiffin_eventstore::{Derived, DerivedError, EventStore};
use tiffin_testkit::eventually;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    derived::derived,
    world::{World, on_postgres, shown},
};

fn shows(store: &EventStore, gauge: &str, schema: &str, well: u8) -> bool {
    shown(store).contains(&format!(
        "tiffin_database_{gauge}{{schema=\"{schema}\"}} {well}\n"
    ))
}

async fn write(derived: &Derived) -> Result<(), DerivedError> {
    let writing = async {
        let mut tx = derived.begin().await?;
        sqlx::query("INSERT INTO seen VALUES (1, 'me') ON CONFLICT DO NOTHING")
            .execute(on_postgres(&mut tx))
            .await?;
        tx.commit().await
    };
    derived.writing(writing).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_refuse_a_write_are_told_of_until_one_succeeds_though_they_are_read_and_the_lease_is_kept()
 {
    let world = World::postgres().await;
    let store = world.store().await;
    let derived = derived(&world, &store).await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let lease = derived.lease("service", "me".into(), &tasks, stop.clone());
    eventually!(lease.held(), |held| *held);
    let is = |gauge, well| shows(&store, gauge, "service", well);
    let mut raw = world.raw_postgres().await;
    let mut renewals = world.raw_postgres().await;
    assert!(is("up", 1) && is("writable", 1));
    for (refuse, allow) in [
        (
            "ALTER TABLE service.seen ADD CONSTRAINT nobody CHECK (false) NOT VALID",
            "ALTER TABLE service.seen DROP CONSTRAINT nobody",
        ),
        ("BEGIN; LOCK TABLE service.seen", "ROLLBACK"),
    ] {
        raw.execute(refuse).await.unwrap();
        assert!(write(&derived).await.is_err(), "{refuse}");
        derived.checkpoint("index").await.unwrap();
        let mut expiry = async || {
            let expiry = sqlx::query_scalar::<_, i64>("SELECT expires_at FROM service.leases");
            expiry.fetch_one(&mut renewals).await.unwrap()
        };
        let before = expiry().await;
        eventually!(expiry().await, |now| *now > before);
        assert!(is("up", 1) && is("writable", 0), "{refuse}: {}", shown(&store));
        raw.execute(allow).await.unwrap();
        write(&derived).await.unwrap();
        assert!(is("up", 1) && is("writable", 1), "{allow}: {}", shown(&store));
    }
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_a_lock_keeps_from_being_read_is_told_of_until_it_is_read_and_as_nothing_else() {
    let world = World::postgres().await;
    let store = world.store().await;
    let is = |gauge, well| shows(&store, gauge, "log", well);
    let mut raw = world.raw_postgres().await;
    raw.execute("BEGIN; LOCK TABLE log.events").await.unwrap();
    assert!(store.head().await.is_err());
    assert!(is("up", 0) && is("writable", 1), "{}", shown(&store));
    raw.execute("ROLLBACK").await.unwrap();
    store.head().await.unwrap();
    assert!(is("up", 1) && is("writable", 1), "{}", shown(&store));
}
