//! The pure core: what an order is, what it may do and what follows, without I/O, clock or dice.

mod decide;
mod fact;
mod id;
mod invalid;
mod order;
mod product;
mod status;
mod text;
mod timeline;
mod workflow;

pub use decide::{Input, Refusal, decide};
pub use fact::{Cause, Fact, NewFact, Open, Transition};
pub use id::{Actor, IdempotencyKey, OrderId, Owner};
pub use invalid::{InvalidInput, Problem};
pub use order::{Details, Order, after, evolve};
pub use product::{Product, ProductName, Products, Quantity};
pub use status::{Reason, Status, Version};
pub use text::Note;
pub use timeline::{Change, Recorded, timeline};
pub use workflow::{SagaError, SagaProblem, Step, StepName, Workflow, WorkflowId};
