//! The steps that every order takes, and how long each lasts.

mod parse;

use std::{fmt, fmt::Write as _, sync::Arc, time::Duration};

use sha2::{Digest, Sha256};

pub use self::parse::{SagaError, SagaProblem};
use crate::Status;

/// The steps of an order's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepName {
    /// The money is taken.
    Payment,
    /// The kitchen accepts.
    Confirmation,
    /// The kitchen is done and the courier has it.
    Ready,
    /// The courier arrives.
    Delivery,
}

impl StepName {
    /// Every step, in the order in which they are taken.
    pub const ALL: [Self; 4] = [Self::Payment, Self::Confirmation, Self::Ready, Self::Delivery];

    /// The name in `saga.toml`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Confirmation => "confirmation",
            Self::Ready => "ready",
            Self::Delivery => "delivery",
        }
    }

    /// The status of an order that has this step behind it.
    pub const fn reaches(self) -> Status {
        match self {
            Self::Payment => Status::Paid,
            Self::Confirmation => Status::Preparing,
            Self::Ready => Status::OutForDelivery,
            Self::Delivery => Status::Delivered,
        }
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A step of a workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// How long it takes.
    pub wait: Duration,
}

/// The SHA-256 of a workflow's canonical text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkflowId([u8; 32]);

impl WorkflowId {
    /// The id with these bytes.
    pub const fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name of the stream that holds the workflow's text.
    pub fn stream(&self) -> String {
        format!("workflow-{self}")
    }
}

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkflowId({self})")
    }
}

/// What `saga.toml` says, and the pace at which it is done here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workflow {
    id: WorkflowId,
    text: Arc<str>,
    steps: [Step; 4],
}

impl Workflow {
    /// Reads a `saga.toml`.
    pub fn parse(saga_toml: &str) -> Result<Self, SagaError> {
        Ok(Self::new(parse::steps(saga_toml)?))
    }

    fn new(steps: [Step; 4]) -> Self {
        let text = canonical(&steps);
        let id = WorkflowId(Sha256::digest(&text).into());
        Self {
            id,
            text: text.into(),
            steps,
        }
    }

    /// The same workflow with every wait divided by `speed`, to the microsecond. Its identity stays.
    ///
    /// A speed that is not a positive number changes nothing.
    #[must_use]
    pub fn sped_up(mut self, speed: f64) -> Self {
        if speed > 0.0 {
            for step in &mut self.steps {
                let seconds = step.wait.as_secs_f64() / speed;
                let micros = Duration::try_from_secs_f64(seconds)
                    .unwrap_or(Duration::MAX)
                    .as_micros();
                step.wait = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
            }
        }
        self
    }

    /// The hash of the canonical text.
    pub const fn id(&self) -> &WorkflowId {
        &self.id
    }

    /// The canonical text: the same for every `saga.toml` that means the same, and one itself.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The step that an order begins with.
    pub const fn first(&self) -> &Step {
        &self.steps[0]
    }

    /// The step that follows `name`; `None` after the last.
    pub fn after(&self, name: StepName) -> Option<&Step> {
        self.steps.iter().skip_while(|step| step.name != name).nth(1)
    }
}

fn canonical(steps: &[Step]) -> String {
    steps.iter().fold(String::new(), |mut text, step| {
        let (name, wait) = (step.name, step.wait.as_millis());
        let _infallible = write!(
            text,
            "[[step]]\nname = \"{name}\"\nkind = \"wait\"\nwait = \"{wait}ms\"\n"
        );
        text
    })
}
