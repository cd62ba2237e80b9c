//! The service over HTTP, on a real event store, with NATS away unless a test says otherwise.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod bad_input;
mod cancel;
mod harness;
mod idempotency;
mod list;
mod overload;
mod place;
mod rebuild;
mod relay;
mod replicas;
