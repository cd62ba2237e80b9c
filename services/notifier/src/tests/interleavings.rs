//! However commits, deliveries, reads and subscribers interleave, each subscriber gets each version once, in order.

use std::{future::Future, pin::Pin, sync::Arc};

use futures::{FutureExt, StreamExt, stream::BoxStream};
use proptest::prelude::*;
use tiffin_graphql::{Error, ErrorCode, Principal, Role};
use tiffin_graphql_transport::Next;
use tiffin_order::{Owner, Status};
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use super::{ORDER, change};
use crate::{
    hub::Hub,
    metrics::Metrics,
    plan::{Plan, Shape},
    snapshots::{Snapshot, Snapshots, Unread, Wanted},
    update::{Change, History, Update},
    watch::Watch,
};

type Opening = Pin<Box<dyn Future<Output = Result<Watch, Error>>>>;

/// What may happen next.
#[derive(Clone, Debug)]
enum Step {
    Commit,
    /// The bus or the log brings some change that was committed: again, late, or not in order.
    Deliver(prop::sample::Index),
    Subscribe(Option<u32>),
    /// The store takes up the reads that wait.
    BeginReads,
    /// What it read arrives.
    EndReads,
    Poll(prop::sample::Index),
    /// A message could not be understood.
    Missed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Commit),
        4 => any::<prop::sample::Index>().prop_map(Step::Deliver),
        2 => prop::option::of(0..9_u32).prop_map(Step::Subscribe),
        3 => Just(Step::BeginReads),
        3 => Just(Step::EndReads),
        6 => any::<prop::sample::Index>().prop_map(Step::Poll),
        1 => Just(Step::Missed),
    ];
    prop::collection::vec(step, 1..80)
}

fn owner() -> Owner {
    Owner::parse("web").unwrap()
}

fn plan(after: Option<u32>) -> Plan {
    Plan {
        order: ORDER,
        after,
        shape: Shape {
            root: "u".into(),
            members: [].into(),
        },
    }
}

struct Subscriber {
    after: Option<u32>,
    /// The order's version when it subscribed.
    at: u32,
    opening: Option<Opening>,
    open: Option<BoxStream<'static, Result<Next, Error>>>,
    versions: Vec<u32>,
    completed: bool,
    failed: Option<ErrorCode>,
}

impl Subscriber {
    fn poll(&mut self) {
        if let Some(opening) = &mut self.opening
            && let Some(watch) = opening.as_mut().now_or_never()
        {
            self.open = Some(watch.unwrap().messages().boxed());
            self.opening = None;
        }
        if let Some(open) = &mut self.open {
            match open.next().now_or_never() {
                Some(Some(Ok(next))) => self.versions.push(next.id.unwrap().try_into().unwrap()),
                Some(Some(Err(error))) => self.failed = Some(error.code()),
                Some(None) => (self.completed, self.open) = (true, None),
                None => {}
            }
        }
    }
}

/// A store, a bus and subscribers, all stepped by hand.
struct World {
    log: Vec<Change>,
    hub: Hub,
    snapshots: Snapshots,
    metrics: Metrics,
    queue: mpsc::Receiver<Wanted>,
    read: Vec<(Snapshot, oneshot::Sender<Snapshot>)>,
    subscribers: Vec<Subscriber>,
}

impl World {
    fn new() -> Self {
        let (snapshots, queue) = Snapshots::new();
        Self {
            log: vec![change(1, Status::Pending, 0)],
            hub: Hub::default(),
            snapshots,
            metrics: Metrics::new(Arc::new(|| OffsetDateTime::UNIX_EPOCH)),
            queue,
            read: Vec::new(),
            subscribers: Vec::new(),
        }
    }

    fn version(&self) -> u32 {
        u32::try_from(self.log.len()).unwrap()
    }

    fn is_finished(&self) -> bool {
        self.log.last().unwrap().status.is_final()
    }

    fn commit(&mut self, status: Status) {
        if !self.is_finished() {
            self.log.push(change(self.version() + 1, status, 0));
        }
    }

    fn deliver(&self, version: u32) {
        self.hub
            .publish(&Arc::new(Update::from(self.log[version as usize - 1].clone())));
    }

    fn subscribe(&mut self, after: Option<u32>) {
        let (hub, snapshots, metrics) = (self.hub.clone(), self.snapshots.clone(), self.metrics.clone());
        let principal = Principal {
            owner: owner(),
            role: Role::Customer,
        };
        let opening = async move { Watch::open(plan(after), &principal, &hub, &snapshots, &metrics).await };
        let mut subscriber = Subscriber {
            after,
            at: self.version(),
            opening: Some(Box::pin(opening)),
            open: None,
            versions: Vec::new(),
            completed: false,
            failed: None,
        };
        subscriber.poll();
        self.subscribers.push(subscriber);
    }

    fn begin_reads(&mut self) {
        while let Ok(Wanted { order, answer }) = self.queue.try_recv() {
            assert_eq!(order, ORDER);
            let history = History::new(owner(), self.log.clone()).map(Arc::new);
            self.read.push((Ok(history), answer));
        }
    }

    fn end_reads(&mut self) {
        for (snapshot, answer) in self.read.drain(..) {
            let _ = answer.send(snapshot);
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Commit if self.version() == 7 => self.commit(Status::Delivered),
            Step::Commit => self.commit(Status::Preparing),
            Step::Deliver(which) => self.deliver(1 + u32::try_from(which.index(self.log.len())).unwrap()),
            Step::Subscribe(after) => self.subscribe(*after),
            Step::BeginReads => self.begin_reads(),
            Step::EndReads => self.end_reads(),
            Step::Poll(_) if self.subscribers.is_empty() => {}
            Step::Poll(which) => {
                let which = which.index(self.subscribers.len());
                self.subscribers[which].poll();
            }
            Step::Missed => self.hub.read_again(Some(ORDER)),
        }
    }

    /// The order ends; of what is still to be delivered only the last change arrives, and after it a latecomer; then
    /// everybody gets time.
    fn settle(&mut self) {
        self.commit(Status::Cancelled);
        self.deliver(self.version());
        self.deliver(1);
        self.run();
    }

    fn run(&mut self) {
        for _ in 0..60 {
            self.begin_reads();
            self.end_reads();
            self.subscribers.iter_mut().for_each(Subscriber::poll);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn versions_rise_one_by_one_to_the_last(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.settle();
        let last = world.version();
        for Subscriber { after, at, versions, completed, failed, .. } in &world.subscribers {
            prop_assert!(*completed && failed.is_none(), "not completed after {versions:?}");
            prop_assert!(versions.windows(2).all(|pair| pair[1] == pair[0] + 1), "{versions:?}");
            let first = versions.first().copied();
            match after {
                Some(after) if after <= at => {
                    let rest = (*after < last).then_some(after + 1);
                    prop_assert_eq!(first, rest);
                }
                // The state is the one when it was read, which may be later than the request; whoever was ahead of the
                // order when it asked may no longer be so, and may even know all there is.
                _ => prop_assert!(first.map_or(*after == Some(last), |first| first >= *at), "{first:?}, at {at}"),
            }
            prop_assert!(versions.last().is_none_or(|version| *version == last), "{versions:?}");
        }
    }
}

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
    let log = world.log.clone();
    let open = |found: bool| {
        let mut opening = Box::pin(Watch::open(
            plan(None),
            &stranger,
            &hub,
            &world.snapshots,
            &world.metrics,
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
