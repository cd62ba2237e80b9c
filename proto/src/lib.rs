//! Package `tiffin.order.v1`: what stands in the log, on the bus and in requests, and how it becomes a pure order.

mod bus;
mod decode;
mod encode;
mod json;
mod message;
mod words;

pub use bus::{Publication, bus_payload, decode_bus};
pub use decode::{
    DecodeError, Envelope, apply, decode_fact, note, parked_message, public, recorded, trace, workflow,
};
pub use encode::{Context, Encoded, encode, encode_parked_message, encode_workflow};
pub use json::{JsonError, Language, from_json, to_json};
pub use message::{cancel_reason, order_message, public_order};
pub use words::{kind, reason_from_wire, status_from_wire, status_to_wire, time_from_wire, timestamp};

/// The version of the facts' schema that this build writes, and the newest that it reads.
pub const SCHEMA_VERSION: u32 = 1;

/// The compiled protobuf files: a serialised `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The generated messages.
#[expect(clippy::pedantic, reason = "generated")]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/tiffin.order.v1.rs"));
}
