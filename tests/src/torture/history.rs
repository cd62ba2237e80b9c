//! What is written down while a run goes on: by the clients, by whoever strikes, and by those who read what is left.

use std::{collections::HashMap, time::Duration};

use uuid::Uuid;

use super::schedule::Fault;

/// What one client did and saw for one order; every time is counted from the start of the run.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// What the order's product is called, so that its events tell whose they are.
    pub label: String,
    /// When the order was first sent.
    pub sent: Option<Duration>,
    /// How many attempts had an outcome that nobody knows: a time-out, a reset, an answer of 5xx.
    pub unknown: u32,
    /// How many attempts were not taken, for certain: nobody listened, or the service said so.
    pub refused: u32,
    /// The answers, each with the order's id; they are for one key, so they are equal.
    pub answers: Vec<Answer>,
    /// When the first answer came.
    pub acknowledged: Option<Duration>,
    /// An answer that no client should get.
    pub wrong: Vec<String>,
    /// What the subscriber saw, as it came.
    pub seen: Vec<Seen>,
    /// Whether the server ended the subscription.
    pub completed: bool,
    /// How often the subscriber connected.
    pub connections: u32,
}

/// An acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The order's id.
    pub id: Uuid,
    /// All that was answered.
    pub body: String,
}

/// One update on a subscriber's screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The order's version.
    pub version: u32,
    /// The status that came with it.
    pub status: String,
    /// When it came.
    pub at: Duration,
}

/// A fault that was brought about.
#[derive(Clone, Copy, Debug)]
pub struct Struck {
    /// What was done.
    pub fault: Fault,
    /// When.
    pub at: Duration,
    /// How many orders were open then: acknowledged, and not yet seen to be finished.
    pub open: usize,
}

/// One event of an order's stream, as the log has it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The event's id.
    pub event: Uuid,
    /// Whose stream it is in.
    pub order: Uuid,
    /// Its number in that stream, from 0.
    pub revision: u64,
    /// Whether it is the one that created the order.
    pub creates: bool,
    /// The version and the status after it, if a customer can see it.
    pub visible: Option<(u32, String)>,
    /// When it was committed, by the database's clock: since 1970.
    pub committed: Duration,
    /// The label that it carries, if it carries the order.
    pub label: Option<String>,
    /// Whether it belongs into a stream of the broker.
    pub published: bool,
}

/// Everything that is known at the end.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What the clients did and saw.
    pub placements: Vec<Placement>,
    /// The faults in their order.
    pub faults: Vec<Struck>,
    /// The orders' events in the log's order.
    pub log: Vec<Logged>,
    /// The event ids in `ORDER_CREATED`, in its order.
    pub created: Vec<Uuid>,
    /// The event ids in `ORDER_UPDATED`, in its order.
    pub updated: Vec<Uuid>,
    /// Processes that ended though nobody killed them.
    pub deaths: Vec<String>,
}

impl Placement {
    /// The order's id, once there was an answer.
    pub fn id(&self) -> Option<Uuid> {
        self.answers.first().map(|answer| answer.id)
    }

    /// The newest version on the subscriber's screen; 0 if there is none.
    pub fn newest(&self) -> u32 {
        self.seen.iter().map(|seen| seen.version).max().unwrap_or(0)
    }

    /// Whether the order was acknowledged and its subscriber has not seen its end.
    pub fn is_open(&self) -> bool {
        self.acknowledged.is_some() && !self.completed
    }
}

impl Logged {
    /// The order's version after it, if a customer can see it.
    pub fn version(&self) -> Option<u32> {
        self.visible.as_ref().map(|(version, _)| *version)
    }
}

impl Evidence {
    /// Each order's events, in the log's order.
    pub fn streams(&self) -> HashMap<Uuid, Vec<&Logged>> {
        let mut streams: HashMap<Uuid, Vec<&Logged>> = HashMap::new();
        for event in &self.log {
            streams.entry(event.order).or_default().push(event);
        }
        streams
    }
}
