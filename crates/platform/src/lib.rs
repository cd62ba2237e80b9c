//! What every service's process stands on: the log, the bus, what both measure and whether they can be reached; and what all
//! services do alike: answering requests, publishing events, their spans.

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
