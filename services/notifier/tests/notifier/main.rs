//! The notifier over a real store and a real broker.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
mod placed;
mod revoked;
mod service;
