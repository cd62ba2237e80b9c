//! What holds where one process has the log for itself: SQLite only.

use tiffin_eventstore::{EventStore, OpenError};

use crate::world::{World, check_log, grow, whole_log};

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
        let events = (0..200)
            .map(|_| crate::world::event(&"x".repeat(1_000)))
            .collect();
        store
            .append(crate::world::start(&format!("s-{n}"), events))
            .await
            .unwrap();
    }
    let World::Sqlite(folder) = &world else {
        panic!("SQLite")
    };
    let size = |name| std::fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(size("log.db") > 6_000_000, "{}", size("log.db"));
    assert!(size("log.db-wal") < 8_000_000, "{}", size("log.db-wal"));
    check_log(&whole_log(&store).await);
}
