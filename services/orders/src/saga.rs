//! Takes orders through their workflow: fold, decide, append, and go on when it is time.

pub(crate) mod cache;
mod failure;
mod load;
mod runner;
mod step;
mod timers;
mod workflows;

pub(crate) use failure::Failure;
pub(crate) use load::{Loaded, fold};
pub(crate) use runner::{Outcome, Runner, guarded};
pub(crate) use step::{Origin, Saga, event, new_event};
pub(crate) use workflows::Workflows;
