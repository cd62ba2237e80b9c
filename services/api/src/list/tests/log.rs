//! The list is what the log says, whatever the list was before.

use bytes::Bytes;
use tiffin_eventstore::{Cursor, Direction, Expected, Position, Revision};
use tiffin_order::{OrderId, Status};
use tiffin_testkit::eventually;

use super::world::{EVERYTHING, World, row};
use crate::list::batch::Batch;

on_both! {
    a_list_of_another_log_is_made_anew,
    an_event_that_cannot_be_read_is_passed_over_and_counted,
    a_list_built_anew_while_orders_come_is_what_the_log_says,
    a_building_that_was_interrupted_goes_on_where_it_was,
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

async fn a_list_built_anew_while_orders_come_is_what_the_log_says(world: World) {
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
