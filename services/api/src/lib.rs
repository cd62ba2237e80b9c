//! The service `api`: queries and mutations over HTTP, the list of orders, and the relay of new ones.

mod admission;
mod call_off;
mod config;
mod fault;
mod list;
mod metrics;
mod orders;
mod place;
mod relay;
mod requests;
mod serve;
mod settings;
mod slots;
mod start;
mod tables;
mod view;
mod waiting;

pub use admission::AdmissionLimits;
pub use config::Config;
pub use serve::serve;
pub use settings::Settings;
pub use start::{Dependencies, GRANT, StartError, migrate, start};
