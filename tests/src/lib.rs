//! Tests of the whole system as processes: the torture run, and what the journeys share with it.

pub mod client;
pub mod screen;
pub mod stack;
pub mod torture;
