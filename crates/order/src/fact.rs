//! What can happen to an order, as it is recorded.

use std::{sync::Arc, time::Duration};

use crate::{Note, Owner, Products, Reason, Status, StepName, WorkflowId};

/// An event of an order's stream: all that [`evolve`](crate::evolve) needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A customer placed the order.
    Created {
        /// Whom it belongs to.
        owner: Owner,
        /// What is ordered.
        products: Products,
    },
    /// The saga took the order up.
    Started {
        /// The workflow under which the order is finished, whatever is configured later.
        workflow: WorkflowId,
        /// The way into it; it carries the first status too where the first wait is zero.
        transition: Transition,
    },
    /// The saga took the next step.
    Advanced(Transition),
    /// Somebody called it off.
    Cancelled {
        /// On whose side.
        reason: Reason,
    },
    /// The saga set the order aside, since its handling kept failing: nothing happens until somebody looks.
    Parked {
        /// What failed.
        what: Arc<str>,
        /// How it failed.
        reason: Arc<str>,
        /// How often it was tried in a row.
        attempts: u32,
    },
}

/// One move of the saga.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The status that the order has from now on; `None` if nothing changed for the customer.
    pub status: Option<Status>,
    /// What made the saga move.
    pub cause: Cause,
    /// What it waits for now; `None` if it has come to its end.
    pub next: Option<Open>,
}

/// What made the saga move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The order was taken up.
    Start,
    /// The wait of this step was over.
    Elapsed(StepName),
}

/// A step under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Open {
    /// Which.
    pub step: StepName,
    /// Which try, from 1.
    pub attempt: u32,
    /// For how long, counted from the time at which the event was recorded.
    pub wait: Duration,
}

/// A fact not yet recorded, with what may be personal kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFact {
    /// What happened.
    pub fact: Fact,
    /// What somebody wrote about it.
    pub note: Option<Note>,
}

impl From<Fact> for NewFact {
    fn from(fact: Fact) -> Self {
        Self { fact, note: None }
    }
}
