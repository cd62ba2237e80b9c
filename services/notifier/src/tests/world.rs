//! A store, a bus and subscribers in memory, stepped by hand.

use std::{future::Future, pin::Pin, sync::Arc};

use futures::{FutureExt, StreamExt, stream::BoxStream};
use tiffin_graphql::{Error, ErrorCode, Principal, Role};
use tiffin_graphql_transport::Next;
use tiffin_order::{Owner, Status};
use tiffin_trace::Tracer;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use super::{ORDER, change};
use crate::{
    hub::Hub,
    metrics::Metrics,
    plan::{Plan, Shape},
    snapshots::{Snapshot, Snapshots, Wanted},
    update::{Change, History, Update},
    watch::Watch,
};

type Opening = Pin<Box<dyn Future<Output = Result<Watch, Error>>>>;

pub(super) fn owner() -> Owner {
    Owner::parse("web").unwrap()
}

pub(super) fn plan(after: Option<u32>) -> Plan {
    Plan {
        order: ORDER,
        after,
        shape: Shape {
            root: "u".into(),
            members: [].into(),
        },
    }
}

pub(super) struct Subscriber {
    pub(super) after: Option<u32>,
    /// The order's version when it subscribed.
    pub(super) at: u32,
    opening: Option<Opening>,
    open: Option<BoxStream<'static, Result<Next, Error>>>,
    pub(super) versions: Vec<u32>,
    pub(super) completed: bool,
    pub(super) failed: Option<ErrorCode>,
}

impl Subscriber {
    pub(super) fn poll(&mut self) {
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
pub(super) struct World {
    pub(super) log: Vec<Change>,
    pub(super) hub: Hub,
    pub(super) snapshots: Snapshots,
    pub(super) metrics: Metrics,
    pub(super) queue: mpsc::Receiver<Wanted>,
    read: Vec<(Snapshot, oneshot::Sender<Snapshot>)>,
    pub(super) subscribers: Vec<Subscriber>,
}

impl World {
    pub(super) fn new() -> Self {
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

    pub(super) fn version(&self) -> u32 {
        u32::try_from(self.log.len()).unwrap()
    }

    fn is_finished(&self) -> bool {
        self.log.last().unwrap().status.is_final()
    }

    pub(super) fn commit(&mut self, status: Status) {
        if !self.is_finished() {
            self.log.push(change(self.version() + 1, status, 0));
        }
    }

    pub(super) fn deliver(&self, version: u32) {
        self.hub
            .publish(&Arc::new(Update::from(self.log[version as usize - 1].clone())));
    }

    pub(super) fn subscribe(&mut self, after: Option<u32>) {
        let (hub, snapshots, metrics) = (self.hub.clone(), self.snapshots.clone(), self.metrics.clone());
        let principal = Principal {
            owner: owner(),
            role: Role::Customer,
        };
        let opening = async move {
            let tracer = Tracer::silent(0.0);
            Watch::open(plan(after), &principal, &hub, &snapshots, &metrics, &tracer).await
        };
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

    pub(super) fn begin_reads(&mut self) {
        while let Ok(Wanted { order, answer }) = self.queue.try_recv() {
            assert_eq!(order, ORDER);
            let history = History::new(owner(), self.log.clone()).map(Arc::new);
            self.read.push((Ok(history), answer));
        }
    }

    pub(super) fn end_reads(&mut self) {
        for (snapshot, answer) in self.read.drain(..) {
            let _ = answer.send(snapshot);
        }
    }

    /// The order ends; of what is still to be delivered only the last change arrives, and after it a latecomer; then
    /// everybody gets time.
    pub(super) fn settle(&mut self) {
        self.commit(Status::Cancelled);
        self.deliver(self.version());
        self.deliver(1);
        self.run();
    }

    pub(super) fn run(&mut self) {
        for _ in 0..60 {
            self.begin_reads();
            self.end_reads();
            self.subscribers.iter_mut().for_each(Subscriber::poll);
        }
    }
}
