//! What every service's process stands on: the log, the bus, what both measure, whether they can be reached, and their spans.

mod answer;
mod machine;
mod platform;
#[cfg(target_os = "linux")]
mod process;
mod publish;
mod settings;
pub mod spans;
mod standby;

pub use answer::{answer, error, wrong};
pub use platform::Platform;
pub use publish::message;
pub use settings::{PlatformSettings, Standby};
