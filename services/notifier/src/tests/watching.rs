//! What a subscription does when something is missed, replaced, unreadable or not its own.

use std::sync::Arc;

use futures::FutureExt;
use tiffin_graphql::{ErrorCode, Principal, Role};
use tiffin_order::{Owner, Status};
use tiffin_trace::Tracer;

use super::{
    ORDER, change,
    world::{World, owner, plan},
};
use crate::{
    hub::Hub,
    snapshots::Unread,
    update::{History, Update},
    watch::Watch,
};

#[test]
fn a_message_ahead_of_the_store_is_not_read_for_twice() {
    let mut world = World::new();
    world.subscribe(None);
    world.run();
    world
        .hub
        .publish(&Arc::new(Update::from(change(9, Status::Delivered, 1))));
    for _ in 0..3 {
        world.subscribers[0].poll();
        world.begin_reads();
        world.end_reads();
    }
    world.subscribers[0].poll();
    assert!(world.queue.try_recv().is_err());
    world.hub.read_again(None);
    world.settle();
    assert_eq!(world.subscribers[0].versions, [1, 2]);
}

#[test]
fn after_the_log_was_replaced_a_subscriber_goes_on_with_what_is_true_now() {
    let mut world = World::new();
    world.commit(Status::Paid);
    world.commit(Status::Preparing);
    world.subscribe(Some(0));
    world.run();
    assert_eq!(world.subscribers[0].versions, [1, 2, 3]);

    world.log.truncate(2);
    world.hub.read_again(None);
    world.run();
    assert_eq!(
        world.subscribers[0].versions,
        [1, 2, 3, 2],
        "version 3 is no more"
    );

    world.log.push(change(3, Status::Cancelled, 1));
    world.deliver(3);
    world.run();
    assert_eq!(world.subscribers[0].versions, [1, 2, 3, 2, 3]);
    assert!(world.subscribers[0].completed);
}

#[test]
fn a_replaced_log_that_still_holds_what_was_sent_changes_nothing() {
    let mut world = World::new();
    world.commit(Status::Paid);
    world.subscribe(None);
    world.run();
    world.hub.read_again(None);
    world.run();
    assert_eq!(world.subscribers[0].versions, [2]);
    world.settle();
    assert_eq!(world.subscribers[0].versions, [2, 3]);
}

#[test]
fn what_can_no_longer_be_read_is_an_error_and_not_the_orders_end() {
    for (unread, code) in [
        (Err(Unread::Corrupt), ErrorCode::Internal),
        (Err(Unread::Stopped), ErrorCode::Unavailable),
        (Ok(None), ErrorCode::NotFound),
    ] {
        let mut world = World::new();
        world.subscribe(None);
        world.run();
        world.hub.read_again(Some(ORDER));
        world.subscribers[0].poll();
        world.queue.try_recv().unwrap().answer.send(unread).unwrap();
        world.subscribers[0].poll();
        let subscriber = &world.subscribers[0];
        assert_eq!((&*subscriber.versions, subscriber.failed), (&[1][..], Some(code)));
        assert!(!subscriber.completed);
    }
}

#[test]
fn another_owners_order_does_not_exist() {
    let world = World::new();
    let (hub, mut queue) = (Hub::default(), world.queue);
    let stranger = Principal {
        owner: Owner::parse("app").unwrap(),
        role: Role::Customer,
    };
    let tracer = Tracer::silent(0.0);
    let log = world.log.clone();
    let open = |found: bool| {
        let mut opening = Box::pin(Watch::open(
            plan(None),
            &stranger,
            &hub,
            &world.snapshots,
            &world.metrics,
            &tracer,
        ));
        assert!(opening.as_mut().now_or_never().is_none());
        let history = found.then(|| Arc::new(History::new(owner(), log.clone()).unwrap()));
        queue.try_recv().unwrap().answer.send(Ok(history)).unwrap();
        opening.now_or_never().unwrap().err().unwrap()
    };
    let mut open = open;
    assert_eq!(open(true).code(), ErrorCode::NotFound);
    assert_eq!(open(true), open(false));
}

#[test]
fn nothing_is_kept_of_an_order_that_nobody_watches() {
    let hub = Hub::default();
    let attachment = hub.attach(ORDER);
    let other = hub.attach(ORDER);
    drop(attachment);
    assert!(!hub.is_empty());
    drop(other);
    assert!(hub.is_empty());
}
