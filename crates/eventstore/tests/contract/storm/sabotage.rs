//! What befalls those who append: they are held up, rolled back, and lose their connections.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng};
use sqlx::Connection;
use tiffin_testkit::eventually;
use uuid::Uuid;

use super::Run;
use crate::world::World;

/// Holds writers up, appends and rolls back, dies in the middle, kills the writers' connections.
pub(super) async fn sabotage(world: &World, run: &Run, mut dice: StdRng) {
    while run.goes_on() {
        tokio::time::sleep(Duration::from_millis(dice.random_range(5..50))).await;
        let pause = Duration::from_millis(dice.random_range(1..30));
        match world {
            World::Sqlite(_) => {
                let mut raw = world.raw_sqlite().await;
                let tx = raw.begin_with("BEGIN IMMEDIATE").await.unwrap();
                tokio::time::sleep(pause).await;
                tx.rollback().await.unwrap();
            }
            World::Postgres(_) => sabotage_postgres(world, pause, &mut dice).await,
        }
    }
}

async fn sabotage_postgres(world: &World, pause: Duration, dice: &mut StdRng) {
    const KILL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'tiffin' AND datname = current_database() ORDER BY random() LIMIT 1";
    let mut raw = world.raw_postgres().await;
    if dice.random_bool(0.2) {
        sqlx::query(KILL).execute(&mut raw).await.unwrap();
        return;
    }
    let mut tx = raw.begin().await.unwrap();
    let call = "SELECT FROM log.start_v1(0, $1, ARRAY[$2], '{1}', ARRAY[$1], '{t}', '{x}', '{x}')";
    let id = Uuid::now_v7();
    sqlx::query(call)
        .bind(id)
        .bind(format!("sabotage-{id}"))
        .execute(&mut *tx)
        .await
        .unwrap();
    tokio::time::sleep(pause).await;
    match dice.random_range(0..3) {
        0 => tx.commit().await.unwrap(),
        1 => tx.rollback().await.unwrap(),
        // The connection ends in the middle of the transaction.
        _ => drop(tx),
    }
}

/// Waits until the database works on nothing that somebody who was killed has left behind.
pub(super) async fn quiet(world: &World) {
    const BUSY: &str = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()";
    if !world.is_shared() {
        return;
    }
    let mut raw = world.raw_postgres().await;
    let mut busy = async || sqlx::query_scalar(BUSY).fetch_one(&mut raw).await.unwrap();
    eventually!(busy().await, |busy: &i64| *busy == 0);
}
