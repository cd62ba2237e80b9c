//! What is written is read, page by page, and who may write.

use tiffin_eventstore::{Cursor, DerivedError, Direction, Position};
use tiffin_graphql::{Cursor as Place, Listing, Page};
use tiffin_order::Status;

use super::world::{EVERYTHING, World, at, cursor, numbers, row};
use crate::tables::{Entry, Part};

on_both! {
    an_order_never_goes_back,
    a_list_that_others_moved_is_left_to_them,
    every_part_of_the_list_is_what_a_look_at_all_of_it_gives,
    a_time_is_the_number_of_the_first_order_since,
    what_is_obsolete_is_deleted_and_whoever_follows_it_is_stopped,
    a_list_that_has_come_further_is_not_replaced,
    a_page_of_orders_that_cannot_be_shown_leads_on_to_the_next,
}

async fn an_order_never_goes_back(world: World) {
    world.put(&[row(7, 2, Status::Paid)]).await;
    world.put(&[row(7, 1, Status::Pending)]).await;
    let part = Part {
        statuses: &[Status::Paid],
        ..EVERYTHING
    };
    let entries = world.page(&part).await;
    let paid = Entry {
        number: Position(7),
        updated_at: at(5),
        public: vec![2],
    };
    assert_eq!(entries, [paid]);
    world.put(&[row(7, 3, Status::Preparing)]).await;
    assert_eq!(world.page(&part).await, []);
}

async fn a_list_that_others_moved_is_left_to_them(world: World) {
    let (live, reached) = world.put(&[]).await;
    let rows = [row(1, 1, Status::Pending)];
    let fenced = world
        .tables()
        .advance(live, &rows, &Cursor::START, cursor(9))
        .await;
    assert!(matches!(fenced, Err(DerivedError::Fenced(_))), "{fenced:?}");
    assert!(world.numbers().await.is_empty(), "nothing of it was written");
    assert_eq!(world.tables().checkpoint(live).await.unwrap(), reached);
}

async fn every_part_of_the_list_is_what_a_look_at_all_of_it_gives(world: World) {
    // The statuses lie in stretches, and one of them nowhere.
    let status = |number: u64| Status::ALL[usize::try_from(number * number / 300 % 5).unwrap()];
    let rows: Vec<_> = (1..=1_100).map(|number| row(number, 1, status(number))).collect();
    world.put(&rows).await;
    let chosen: [&[Status]; 5] = [
        &[],
        &[Status::Paid],
        &[Status::Pending, Status::Delivered],
        &[Status::Cancelled],
        &Status::ALL,
    ];
    let spans = [(0, u64::MAX), (500, 520), (1_090, 1_200), (700, 700), (0, 2)];
    for statuses in chosen {
        for (above, below) in spans {
            for (direction, limit) in [(Direction::Forwards, 5), (Direction::Backwards, 200)] {
                let part = Part {
                    statuses,
                    above: Position(above),
                    below: Position(below),
                    direction,
                    limit,
                };
                let within = (1..=1_100).filter(|number| above < *number && *number < below);
                let mut expected: Vec<_> = within
                    .filter(|number| statuses.is_empty() || statuses.contains(&status(*number)))
                    .collect();
                if direction == Direction::Backwards {
                    expected.reverse();
                }
                expected.truncate(limit as usize);
                assert_eq!(numbers(world.page(&part).await), expected, "{part:?}");
            }
        }
    }
}

async fn a_time_is_the_number_of_the_first_order_since(world: World) {
    world
        .put(&[2, 4, 5, 9].map(|number| row(number, 1, Status::Paid)))
        .await;
    // Placed in the seconds 1, 2, 2 and 4.
    for (second, number) in [
        (0, Some(2)),
        (1, Some(2)),
        (2, Some(4)),
        (3, Some(9)),
        (4, Some(9)),
        (5, None),
    ] {
        let first = world
            .tables()
            .look()
            .await
            .unwrap()
            .first_since(at(second))
            .await
            .unwrap();
        assert_eq!(first, number.map(Position), "{second}");
    }
}

async fn what_is_obsolete_is_deleted_and_whoever_follows_it_is_stopped(world: World) {
    let rows: Vec<_> = [1, 2, 6_000, 23_000]
        .map(|number| row(number, 1, Status::Paid))
        .into();
    let (old, reached) = world.put(&rows).await;
    world.tables().begin_anew().await.unwrap();
    assert!(world.numbers().await.is_empty());
    world.put(&[row(3, 1, Status::Paid)]).await;
    world.tables().clear().await.unwrap();
    assert_eq!(world.numbers().await, [3], "what is served stays");
    assert_eq!(world.tables().obsolete().await.unwrap(), None);
    let fenced = world.tables().advance(old, &rows, &reached, cursor(9)).await;
    assert!(matches!(fenced, Err(DerivedError::Fenced(_))), "{fenced:?}");
}

async fn a_list_that_has_come_further_is_not_replaced(world: World) {
    let tables = world.tables();
    let generation = tables.begin_building().await.unwrap();
    world.put(&[row(1, 1, Status::Paid)]).await;
    world.put(&[row(2, 1, Status::Paid)]).await;
    let replaced = tables
        .replace(generation, &[row(1, 1, Status::Paid)], &Cursor::START, cursor(1))
        .await
        .unwrap();
    assert!(!replaced);
    assert_eq!(world.numbers().await, [2, 1]);
    let rest = [row(2, 2, Status::Preparing)];
    assert!(
        tables
            .replace(generation, &rest, &cursor(1), cursor(2))
            .await
            .unwrap()
    );
    assert_eq!(world.numbers().await, [2, 1]);
    assert_eq!(tables.generations().await.unwrap().live, generation);
    let again = tables
        .replace(generation, &[], &cursor(2), cursor(2))
        .await
        .unwrap();
    assert!(!again, "it is no building any more");
}

async fn a_page_of_orders_that_cannot_be_shown_leads_on_to_the_next(world: World) {
    // What is shown of these makes no sense.
    world
        .put(&[1, 2, 3, 4, 5].map(|number| row(number, 1, Status::Paid)))
        .await;
    let orders = world.orders().await;
    let (mut after, mut ends) = (None, Vec::new());
    while ends.len() < 5 {
        let page = Page {
            limit: 2,
            last: false,
            after,
            before: None,
        };
        let listing = Listing {
            statuses: Vec::new(),
            created_from: None,
            created_to: None,
            page,
            timelines: true,
        };
        let listed = orders.page(&listing).await.unwrap();
        assert_eq!(listed.orders, []);
        let (start, end) = listed.ends.unwrap();
        ends.push((start.0, end.0, listed.has_next));
        if !listed.has_next {
            break;
        }
        after = Some(Place(end.0));
    }
    assert_eq!(ends, [(5, 4, true), (3, 2, true), (1, 1, false)]);
}
