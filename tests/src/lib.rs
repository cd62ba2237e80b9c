//! Tests of the whole system as processes: the torture run, the load on an
//! installation, and what the journeys share with them.

pub mod client;
pub mod cluster;
pub mod collector;
pub mod guarded;
pub mod load;
pub mod screen;
pub mod stack;
pub mod torture;
