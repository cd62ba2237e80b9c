//! The service `orders`: carries every order through its workflow.
//!
//! `saga` takes one order one step further; `wakeups` remembers in SQL which order wants to be woken when, for
//! what no memory remembers any more; `consume`, `requests` and `relay` are its ways in and out; `log` is what
//! operators read, `again` what they have published once more.

mod again;
mod config;
mod consume;
mod log;
mod metrics;
mod park;
mod relay;
mod requests;
mod saga;
mod serve;
mod settings;
mod start;
mod tables;
mod wakeups;

pub use config::Config;
pub use serve::serve;
pub use settings::{SagaSettings, Settings};
pub use start::{Dependencies, GRANT, StartError, migrate, start};
