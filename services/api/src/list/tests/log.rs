//! The list is what the log says, whatever the list was before.

use bytes::Bytes;
use tiffin_eventstore::{Cursor, Direction, Expected, Position, Revision};
use tiffin_order::{OrderId, Status};
use tiffin_testkit::eventually;

use super::world::{EVERYTHING, World, row};
use crate::list::{Portions, batch::Batch};

on_both! {
    a_list_of_another_log_is_made_anew,
    an_event_that_cannot_be_read_is_passed_over_and_counted,
    a_list_built_anew_while_orders_come_is_what_the_log_says,
    a_building_that_was_interrupted_goes_on_where_it_was,
    a_list_that_is_built_anew_without_need_is_as_before,
    what_a_building_gathers_has_bounds,
    a_building_of_a_log_that_was_replaced_is_no_success,
    a_list_whose_place_is_not_known_yet_shows_no_lag,
}

async fn a_list_of_another_log_is_made_anew(world: World) {
    world.put(&[row(50, 1, Status::Paid)]).await;
    world.trade(1).await;
    let expected = world.fold().await;
    tokio::select! {
        () = world.list.follow() => {}
        _ = async { eventually!(world.page(&EVERYTHING).await, |entries| *entries == expected) } => {}
    }
}

async fn an_event_that_cannot_be_read_is_passed_over_and_counted(world: World) {
    let first = world.place().await;
    let id = OrderId::from_stream(first.stream.as_str()).unwrap();
    let rubbish = Bytes::from_static(b"\x0a\x02\xff\xff");
    world
        .append(id, Expected::Exact(Revision::FIRST), rubbish, Bytes::new())
        .await;
    let last = world.place().await;
    let expected = [last.stream_no.0, first.stream_no.0];
    tokio::select! {
        () = world.list.follow() => {}
        _ = async { eventually!(world.numbers().await, |numbers| *numbers == expected) } => {}
    }
    assert_eq!(world.list.metrics.skipped.get(), 1);
}

/// So little at a time that a building of some events reads while it writes, again and again.
const LITTLE: Portions = Portions {
    read: 4,
    orders: 3,
    bytes: usize::MAX,
};

async fn a_list_built_anew_while_orders_come_is_what_the_log_says(mut world: World) {
    world.list.portions = LITTLE;
    world.trade(20).await;
    // The list that is served is wrong.
    let live = world.tables().generations().await.unwrap().live;
    let first = world
        .list
        .store
        .read_all(Position::START, Direction::Forwards, 1)
        .await
        .unwrap()[0]
        .cursor();
    let wrong = [row(1, 9, Status::Paid)];
    world
        .tables()
        .advance(live, &wrong, &Cursor::START, first)
        .await
        .unwrap();
    let generation = world.tables().begin_building().await.unwrap();
    tokio::join!(world.keep_until(generation), world.trade(20));
    let expected = world.fold().await;
    tokio::select! {
        () = world.list.keep() => {}
        _ = async { eventually!(world.page(&EVERYTHING).await, |entries| *entries == expected) } => {}
    }
    assert_eq!(world.tables().generations().await.unwrap().building, None);
}

async fn a_building_that_was_interrupted_goes_on_where_it_was(world: World) {
    let tables = world.tables();
    world.trade(5).await;
    let generation = tables.begin_building().await.unwrap();
    assert_eq!(
        tables.begin_building().await.unwrap(),
        generation,
        "there is one at a time"
    );
    let events = world
        .list
        .store
        .read_all(Position::START, Direction::Forwards, 7)
        .await
        .unwrap();
    let mut batch = Batch::new(Cursor::START);
    for event in &events {
        batch.push(event).unwrap();
    }
    let mark = row(1, 9, Status::Paid);
    let mut rows = batch.take();
    rows[0] = mark.clone();
    tables
        .advance(generation, &rows, &Cursor::START, batch.reached())
        .await
        .unwrap();
    world.keep_until(generation).await;
    let mut expected = world.fold().await;
    let first = expected.last_mut().unwrap();
    (first.updated_at, first.public) = (mark.updated_at, mark.public.into());
    assert_eq!(
        world.page(&EVERYTHING).await,
        expected,
        "what was written before was not written again"
    );
}

async fn a_list_that_is_built_anew_without_need_is_as_before(mut world: World) {
    world.list.portions = LITTLE;
    world.trade(20).await;
    let expected = world.fold().await;
    tokio::select! {
        () = world.list.follow() => {}
        _ = async { eventually!(world.page(&EVERYTHING).await, |entries| *entries == expected) } => {}
    }
    let generation = world.tables().begin_building().await.unwrap();
    tokio::select! {
        () = world.list.rebuild() => {}
        _ = async { eventually!(world.tables().generations().await.unwrap().live, |live| *live == generation) } => {}
    }
    assert_eq!(world.page(&EVERYTHING).await, expected);
    let reached = world.tables().checkpoint(generation).await.unwrap();
    assert_eq!(reached, world.list.store.head().await.unwrap());
}

async fn what_a_building_gathers_has_bounds(world: World) {
    let few = Portions {
        orders: 2,
        ..Portions::default()
    };
    let small = |bytes| Portions {
        bytes,
        ..Portions::default()
    };
    let placed = world.place().await;
    let mut batch = Batch::new(Cursor::START);
    batch.push(&placed).unwrap();
    assert_eq!(batch.bytes(), placed.data.len());
    assert!(!few.are_gathered(&batch) && small(batch.bytes()).are_gathered(&batch));
    // A later event of the same order takes the place of the first.
    world.cancel(&placed).await;
    let log = world.list.store.read_all(placed.position, Direction::Forwards, 1);
    let cancelled = &log.await.unwrap()[0];
    batch.push(cancelled).unwrap();
    assert_eq!((batch.len(), batch.bytes()), (1, cancelled.data.len()));
    let another = world.place().await;
    batch.push(&another).unwrap();
    assert!(few.are_gathered(&batch) && !small(batch.bytes() + 1).are_gathered(&batch));
    batch.take();
    assert_eq!((batch.len(), batch.bytes()), (0, 0));
}

async fn a_building_of_a_log_that_was_replaced_is_no_success(world: World) {
    let rebuilds = world.rebuilds();
    let given_up = rebuilds.begin().await.unwrap();
    assert!(!given_up.done);
    world.tables().begin_anew().await.unwrap();
    let told = rebuilds.progress(given_up.id).await.unwrap_err();
    assert_eq!(told.code, "NOT_FOUND");
    assert!(told.hint.contains("the log was replaced"), "{}", told.hint);

    let next = rebuilds.begin().await.unwrap();
    assert!(next.id > given_up.id && !next.done);
    let generation = world.tables().generations().await.unwrap().building.unwrap();
    world.keep_until(generation).await;
    assert!(rebuilds.progress(next.id).await.unwrap().done);
    assert!(rebuilds.progress(given_up.id).await.is_err());
}

async fn a_list_whose_place_is_not_known_yet_shows_no_lag(world: World) {
    world.trade(1).await;
    let (list, metrics) = (&world.list, &world.list.metrics);
    let shown = async || {
        list.look_at_lag().await;
        metrics.lag_events.get()
    };
    assert_eq!(shown().await, 0);
    metrics.reached(Position::START);
    assert_eq!(shown().await, 3);
    // Somebody else keeps the list for a while.
    metrics.forget_lag();
    assert_eq!(shown().await, 0);
}
