//! What follows from an input: the only place that refuses.

use std::{sync::Arc, time::Duration};

use time::OffsetDateTime;

use crate::{
    Cause, Fact, NewFact, Note, Open, Order, Owner, Products, Reason, Status, StepName, Transition, Workflow,
    WorkflowId,
};

/// Something that an order may have to answer to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A customer places it.
    Create {
        /// Whom it is to belong to.
        owner: Owner,
        /// What is ordered.
        products: Products,
    },
    /// The saga is to take it up now.
    Start,
    /// Time has passed: whatever is due may happen.
    Wake,
    /// Somebody calls it off.
    Cancel {
        /// On whose side.
        reason: Reason,
        /// What they wrote about it.
        note: Option<Note>,
    },
    /// Its handling kept failing.
    Park {
        /// What failed.
        what: Arc<str>,
        /// How it failed.
        reason: Arc<str>,
        /// How often it was tried in a row.
        attempts: u32,
    },
}

/// Why an input is not followed by anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is an order with this id already.
    #[error("the order exists already")]
    Exists,
    /// There is no order with this id.
    #[error("there is no such order")]
    NotFound,
    /// It is too late.
    #[error("the order is {status} and can no longer be cancelled")]
    NotCancellable {
        /// How far it has come.
        status: Status,
    },
    /// The order met an event that this version does not know, so another one has to decide.
    #[error("the order was continued by a newer version")]
    Newer,
    /// The order was started under another workflow than the one given.
    #[error("the order was started under workflow {needed}")]
    OtherWorkflow {
        /// The workflow to decide with.
        needed: WorkflowId,
    },
}

/// What `input` leads to at the time `now`: facts to be recorded, none if it is done already or not yet due.
///
/// `workflow` is the one under which a new order starts, and must be its own for an order under way.
pub fn decide(
    order: &Order,
    input: Input,
    workflow: &Workflow,
    now: OffsetDateTime,
) -> Result<Vec<NewFact>, Refusal> {
    if matches!(order, Order::Newer(_)) {
        return Err(Refusal::Newer);
    }
    let facts = match input {
        Input::Create { owner, products } => create(order, owner, products)?.into(),
        Input::Start => start(order, workflow)?,
        Input::Wake => wake(order, workflow, now)?,
        Input::Cancel { reason, note } => cancel(order, reason, note)?,
        Input::Park {
            what,
            reason,
            attempts,
        } => park(
            order,
            Fact::Parked {
                what,
                reason,
                attempts,
            },
        )?,
    };
    Ok(facts.into_iter().collect())
}

fn create(order: &Order, owner: Owner, products: Products) -> Result<NewFact, Refusal> {
    match order {
        Order::Absent => Ok(Fact::Created { owner, products }.into()),
        _ => Err(Refusal::Exists),
    }
}

fn start(order: &Order, workflow: &Workflow) -> Result<Option<NewFact>, Refusal> {
    match order {
        Order::Absent => Err(Refusal::NotFound),
        Order::Placed(_) => Ok(Some(started(workflow).into())),
        _ => Ok(None),
    }
}

fn wake(order: &Order, workflow: &Workflow, now: OffsetDateTime) -> Result<Option<NewFact>, Refusal> {
    if matches!(order, Order::Absent) {
        return Err(Refusal::NotFound);
    }
    if order.wake_at().is_none_or(|due| now < due) {
        return Ok(None);
    }
    match order {
        Order::Running { workflow: needed, .. } if needed != workflow.id() => {
            Err(Refusal::OtherWorkflow { needed: *needed })
        }
        Order::Running { open, .. } => Ok(Some(Fact::Advanced(elapsed(workflow, open.step)).into())),
        _ => Ok(Some(started(workflow).into())),
    }
}

fn cancel(order: &Order, reason: Reason, note: Option<Note>) -> Result<Option<NewFact>, Refusal> {
    match order.status() {
        None => Err(Refusal::NotFound),
        Some(Status::Cancelled) => Ok(None),
        Some(status) if status.is_cancellable() => Ok(Some(NewFact {
            fact: Fact::Cancelled { reason },
            note,
        })),
        Some(status) => Err(Refusal::NotCancellable { status }),
    }
}

fn park(order: &Order, parked: Fact) -> Result<Option<NewFact>, Refusal> {
    match order {
        Order::Absent => Err(Refusal::NotFound),
        Order::Placed(_) | Order::Running { .. } => Ok(Some(parked.into())),
        _ => Ok(None),
    }
}

/// The start under a workflow; it takes the first step along if that has nothing to wait for.
fn started(workflow: &Workflow) -> Fact {
    let first = workflow.first();
    let transition = if first.wait == Duration::ZERO {
        elapsed(workflow, first.name)
    } else {
        let next = Some(Open {
            step: first.name,
            attempt: 1,
            wait: first.wait,
        });
        Transition {
            status: None,
            cause: Cause::Start,
            next,
        }
    };
    Fact::Started {
        workflow: *workflow.id(),
        transition,
    }
}

fn elapsed(workflow: &Workflow, step: StepName) -> Transition {
    let next = workflow.after(step).map(|next| Open {
        step: next.name,
        attempt: 1,
        wait: next.wait,
    });
    Transition {
        status: Some(step.reaches()),
        cause: Cause::Elapsed(step),
        next,
    }
}
