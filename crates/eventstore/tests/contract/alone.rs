//! What holds where one process has the log for itself: SQLite only.

use tiffin_eventstore::{EventStore, OpenError, Revision};

use crate::world::{World, append, check_log, conflict, event, exact, grow, start, whole_log};

#[tokio::test]
async fn a_second_process_is_refused_on_the_data_folder() {
    let world = World::sqlite();
    let store = world.store().await;
    let refused = EventStore::open(world.config()).await.err();
    assert!(matches!(refused, Some(OpenError::InUse(_))), "{refused:?}");
    assert!(refused.unwrap().to_string().contains("another process"));
    grow(&store, "s", 1).await;
    store.close().await;
    drop(store);
    grow(&world.store().await, "t", 1).await;
}

#[tokio::test]
async fn the_wal_is_kept_small_by_the_writer() {
    let world = World::sqlite();
    let store = world.store().await;
    for n in 0..40 {
        let events = (0..200).map(|_| event(&"x".repeat(1_000))).collect();
        store.append(start(&format!("s-{n}"), events)).await.unwrap();
    }
    let World::Sqlite(folder) = &world else {
        panic!("SQLite")
    };
    let size = |name| std::fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(size("log.db") > 6_000_000, "{}", size("log.db"));
    assert!(size("log.db-wal") < 8_000_000, "{}", size("log.db-wal"));
    check_log(&whole_log(&store).await);
}

#[tokio::test]
async fn a_group_is_judged_by_what_is_there_when_a_place_in_it_is_taken() {
    let world = World::sqlite();
    let store = world.store().await;
    grow(&store, "s", 1).await;
    // A write that the store has no memory of, as after a fault of the disk whose outcome was unknown.
    let taken = "INSERT INTO events SELECT position + 1, position, NULL, 1, zeroblob(16), type, data, metadata, created_at \
         FROM events";
    let mut raw = world.raw_sqlite().await;
    sqlx::query(taken).execute(&mut raw).await.unwrap();
    // Brings the writer's idea of the log's end up to date, not that of the stream's.
    grow(&store, "t", 1).await;

    let (lost, neighbour) = tokio::join!(
        store.append(append("s", exact(0), vec![event("taken")])),
        store.append(start("u", vec![event("neighbour")])),
    );
    assert_eq!(conflict(lost), Some(Revision(1)));
    assert!(!neighbour.unwrap().replayed);
}
