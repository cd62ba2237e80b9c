//! What every service's process stands on: the log, the bus, what both measure, and whether they can be reached.

mod platform;
mod settings;

pub use platform::Platform;
pub use settings::PlatformSettings;
