//! The notifier: shows every change of an order, live, to those who watch it.

mod decode;
mod follow;
mod hub;
mod metrics;
mod plan;
mod render;
mod serve;
mod settings;
mod slot;
mod snapshots;
mod start;
#[cfg(test)]
mod tests;
mod update;
mod updates;
mod watch;

pub use serve::serve;
pub use settings::Settings;
pub use start::{Config, Dependencies, GRANT, start};
