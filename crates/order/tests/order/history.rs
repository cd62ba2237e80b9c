//! An order's history as the tests write it: input by input, with a clock that only they move.

use std::time::Duration;

use tiffin_order::{
    Fact, Input, NewFact, Note, Order, Owner, Products, Reason, Refusal, Version, Workflow, decide, evolve,
};
use time::OffsetDateTime;

/// An order, all that was recorded of it, and the time.
#[derive(Clone)]
pub(crate) struct History {
    pub(crate) workflow: Workflow,
    pub(crate) order: Order,
    pub(crate) facts: Vec<(Fact, OffsetDateTime)>,
    pub(crate) versions: Vec<Version>,
    pub(crate) now: OffsetDateTime,
}

impl History {
    pub(crate) fn new(workflow: Workflow) -> Self {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        Self {
            workflow,
            order: Order::Absent,
            facts: Vec::new(),
            versions: Vec::new(),
            now,
        }
    }

    /// Decides, records what follows and returns it.
    pub(crate) fn give(&mut self, input: Input) -> Result<Vec<NewFact>, Refusal> {
        let new = decide(&self.order, input, &self.workflow, self.now)?;
        for NewFact { fact, .. } in &new {
            let before = self.order.version();
            self.order = evolve(self.order.clone(), fact, self.now);
            self.facts.push((fact.clone(), self.now));
            if self.order.version() != before {
                self.versions.extend(self.order.version());
            }
        }
        Ok(new)
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Lets time pass until the saga wants to be woken, and wakes it; false if it waits for nothing.
    pub(crate) fn wake_when_due(&mut self) -> bool {
        let Some(due) = self.order.wake_at() else {
            return false;
        };
        self.now = self.now.max(due);
        let woken = self.give(Input::Wake).expect("a due wake-up is never refused");
        assert_eq!(woken.len(), 1, "a due wake-up is one step");
        true
    }
}

pub(crate) fn seed() -> Workflow {
    Workflow::parse(include_str!("../../../../saga.toml")).expect("the default workflow makes sense")
}

/// A workflow with these waits, in milliseconds.
pub(crate) fn workflow(waits: [u32; 4]) -> Workflow {
    let names = ["payment", "confirmation", "ready", "delivery"];
    let steps = names
        .iter()
        .zip(waits)
        .map(|(name, wait)| format!("[[step]]\nname = \"{name}\"\nkind = \"wait\"\nwait = \"{wait}ms\"\n"));
    Workflow::parse(&steps.collect::<String>()).expect("valid steps")
}

pub(crate) fn create() -> Input {
    let owner = Owner::parse("web").expect("a valid name");
    Input::Create {
        owner,
        products: Products::parse([("Dal", 2)]).expect("valid products"),
    }
}

pub(crate) fn cancel() -> Input {
    Input::Cancel {
        reason: Reason::CancelledByCustomer,
        note: Note::parse("changed my mind").expect("a valid note"),
    }
}

pub(crate) fn park() -> Input {
    Input::Park {
        what: "handler".into(),
        reason: "it panicked".into(),
        attempts: 5,
    }
}
