//! What every service's process stands on: the log, the bus, what both measure, whether they can be reached, and their spans.

mod machine;
mod platform;
#[cfg(target_os = "linux")]
mod process;
mod settings;
pub mod spans;
mod standby;

pub use platform::Platform;
pub use settings::{PlatformSettings, Standby};
