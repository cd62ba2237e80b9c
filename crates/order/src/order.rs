//! The state of an order, folded from what happened to it.

use std::time::Duration;

use time::{OffsetDateTime, PrimitiveDateTime};

use crate::{Fact, Open, Owner, Products, Reason, Status, Transition, Version, WorkflowId};

/// How long after its creation an order starts if nobody starts it sooner.
const START_WITHIN: Duration = Duration::from_secs(2);

/// An order as far as its events tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Nothing happened yet.
    Absent,
    /// Placed, not taken up by the saga.
    Placed(Details),
    /// In the saga, which waits for a step.
    Running {
        /// What the customer sees.
        details: Details,
        /// The workflow that it was started under.
        workflow: WorkflowId,
        /// The step under way.
        open: Open,
        /// When that step began.
        since: OffsetDateTime,
    },
    /// Set aside unfinished, until somebody looks.
    Parked(Details),
    /// Nothing is left to do.
    Finished(Details),
    /// Met by an event that this version does not know: to be left alone. Holds what was known before.
    Newer(Option<Details>),
}

/// What a customer sees of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// Whom it belongs to.
    pub owner: Owner,
    /// What is ordered.
    pub products: Products,
    /// How far it has come.
    pub status: Status,
    /// Counts what the customer could see.
    pub version: Version,
    /// Why it was cancelled.
    pub reason: Option<Reason>,
    /// When it was placed.
    pub created_at: OffsetDateTime,
    /// When it changed last in the customer's eyes.
    pub updated_at: OffsetDateTime,
}

impl Details {
    /// The details after a change that the customer can see.
    fn changed(self, status: Status, reason: Option<Reason>, at: OffsetDateTime) -> Self {
        Self {
            status,
            reason,
            version: self.version.next(),
            updated_at: at,
            ..self
        }
    }
}

impl Order {
    /// What the customer sees; `None` for an order that does not exist.
    pub const fn details(&self) -> Option<&Details> {
        match self {
            Self::Absent => None,
            Self::Placed(details)
            | Self::Running { details, .. }
            | Self::Parked(details)
            | Self::Finished(details) => Some(details),
            Self::Newer(details) => details.as_ref(),
        }
    }

    /// How far it has come.
    pub fn status(&self) -> Option<Status> {
        self.details().map(|details| details.status)
    }

    /// The version that the customer sees.
    pub fn version(&self) -> Option<Version> {
        self.details().map(|details| details.version)
    }

    /// When the saga wants to be woken; `None` if it waits for nothing.
    pub fn wake_at(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Placed(details) => Some(after(details.created_at, START_WITHIN)),
            Self::Running { open, since, .. } => Some(after(*since, open.wait)),
            Self::Absent | Self::Parked(_) | Self::Finished(_) | Self::Newer(_) => None,
        }
    }

    /// How long after its last event the saga wants to be woken; `None` if it waits for nothing.
    pub const fn wake_after(&self) -> Option<Duration> {
        match self {
            Self::Placed(_) => Some(START_WITHIN),
            Self::Running { open, .. } => Some(open.wait),
            Self::Absent | Self::Parked(_) | Self::Finished(_) | Self::Newer(_) => None,
        }
    }

    /// The workflow that it was started under; `None` before and after the saga.
    pub const fn workflow(&self) -> Option<&WorkflowId> {
        match self {
            Self::Running { workflow, .. } => Some(workflow),
            _ => None,
        }
    }

    /// Whether nothing is left to do.
    pub const fn is_finished(&self) -> bool {
        matches!(self, Self::Finished(_))
    }

    /// The order after an event that this version does not know.
    #[must_use]
    pub fn met_newer(self) -> Self {
        match self {
            Self::Absent => Self::Newer(None),
            Self::Newer(details) => Self::Newer(details),
            Self::Placed(details)
            | Self::Running { details, .. }
            | Self::Parked(details)
            | Self::Finished(details) => Self::Newer(Some(details)),
        }
    }
}

/// The order after `fact`, recorded at `at`. Total: what cannot follow changes nothing.
#[must_use]
pub fn evolve(order: Order, fact: &Fact, at: OffsetDateTime) -> Order {
    match (order, fact) {
        (Order::Absent, Fact::Created { owner, products }) => Order::Placed(Details {
            owner: owner.clone(),
            products: products.clone(),
            status: Status::Pending,
            version: Version::FIRST,
            reason: None,
            created_at: at,
            updated_at: at,
        }),
        (Order::Placed(details), Fact::Started { workflow, transition }) => {
            moved(details, *workflow, transition, at)
        }
        (
            Order::Running {
                details, workflow, ..
            },
            Fact::Advanced(transition),
        ) => moved(details, workflow, transition, at),
        (
            Order::Placed(details) | Order::Running { details, .. } | Order::Parked(details),
            Fact::Cancelled { reason },
        ) => Order::Finished(details.changed(Status::Cancelled, Some(*reason), at)),
        (Order::Placed(details) | Order::Running { details, .. }, Fact::Parked { .. }) => {
            Order::Parked(details)
        }
        (order, _) => order,
    }
}

fn moved(details: Details, workflow: WorkflowId, transition: &Transition, at: OffsetDateTime) -> Order {
    let details = match transition.status {
        Some(status) => details.changed(status, None, at),
        None => details,
    };
    match transition.next {
        Some(open) => Order::Running {
            details,
            workflow,
            open,
            since: at,
        },
        None => Order::Finished(details),
    }
}

/// The time `wait` after `start`; one that no calendar holds becomes the last that it does.
pub fn after(start: OffsetDateTime, wait: Duration) -> OffsetDateTime {
    time::Duration::try_from(wait)
        .ok()
        .and_then(|wait| start.checked_add(wait))
        .unwrap_or(PrimitiveDateTime::MAX.assume_utc())
}
