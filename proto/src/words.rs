//! The same words on both sides: statuses, reasons, steps, durations and times of the core and of protobuf.

use std::time::Duration;

use prost_types::Timestamp;
use tiffin_order::{Reason, Status, StepName};
use time::OffsetDateTime;

use crate::v1;

/// The names of the event types in the log.
pub mod kind {
    /// A customer placed an order.
    pub const ORDER_CREATED: &str = "order-created";
    /// The saga took an order up.
    pub const ORDER_STARTED: &str = "order-started";
    /// The saga took a step.
    pub const ORDER_ADVANCED: &str = "order-advanced";
    /// Somebody called an order off.
    pub const ORDER_CANCELLED: &str = "order-cancelled";
    /// The saga set an order aside.
    pub const ORDER_PARKED: &str = "order-parked";
    /// A workflow was used for the first time.
    pub const WORKFLOW_DEFINED: &str = "workflow-defined";
    /// A message was set aside.
    pub const MESSAGE_PARKED: &str = "message-parked";
}

/// The number that stands for a status.
pub const fn status_to_wire(status: Status) -> v1::OrderStatus {
    match status {
        Status::Pending => v1::OrderStatus::Pending,
        Status::Paid => v1::OrderStatus::Paid,
        Status::Preparing => v1::OrderStatus::Preparing,
        Status::OutForDelivery => v1::OrderStatus::OutForDelivery,
        Status::Delivered => v1::OrderStatus::Delivered,
        Status::Cancelled => v1::OrderStatus::Cancelled,
    }
}

pub(crate) const fn reason_to_wire(reason: Reason) -> v1::Reason {
    match reason {
        Reason::CancelledByCustomer => v1::Reason::CancelledByCustomer,
        Reason::CancelledByStaff => v1::Reason::CancelledByStaff,
    }
}

pub(crate) const fn step_to_wire(step: StepName) -> v1::Step {
    match step {
        StepName::Payment => v1::Step::Payment,
        StepName::Confirmation => v1::Step::Confirmation,
        StepName::Ready => v1::Step::Ready,
        StepName::Delivery => v1::Step::Delivery,
    }
}

/// The status that a number stands for; `None` both for none and for one that this version does not know.
pub fn status_from_wire(number: i32) -> Option<Status> {
    Status::ALL
        .into_iter()
        .find(|status| status_to_wire(*status) as i32 == number)
}

/// The reason that a number stands for; `None` both for none and for one that this version does not know.
pub fn reason_from_wire(number: i32) -> Option<Reason> {
    Reason::ALL
        .into_iter()
        .find(|reason| reason_to_wire(*reason) as i32 == number)
}

pub(crate) fn step_from_wire(number: i32) -> Option<StepName> {
    StepName::ALL
        .into_iter()
        .find(|step| step_to_wire(*step) as i32 == number)
}

/// The time on the wire.
pub fn timestamp(at: OffsetDateTime) -> Timestamp {
    Timestamp {
        seconds: at.unix_timestamp(),
        nanos: i32::try_from(at.nanosecond()).unwrap_or_default(),
    }
}

/// The time that was on the wire; `None` for one that no calendar holds.
pub fn time_from_wire(at: &Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(at.seconds)
        .ok()?
        .replace_nanosecond(u32::try_from(at.nanos).ok()?)
        .ok()
}

pub(crate) fn duration_to_wire(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or_default(),
    }
}

/// The duration on the wire; `None` for a negative one.
pub(crate) fn duration_from_wire(duration: &prost_types::Duration) -> Option<Duration> {
    Some(Duration::new(
        u64::try_from(duration.seconds).ok()?,
        u32::try_from(duration.nanos).ok()?,
    ))
}
