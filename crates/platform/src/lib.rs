//! What every service's process stands on: the log, the bus, what both measure, and whether they can be reached.

mod machine;
mod platform;
#[cfg(target_os = "linux")]
mod process;
mod settings;
mod standby;

pub use platform::Platform;
pub use settings::{PlatformSettings, Standby};
