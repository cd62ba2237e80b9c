//! What the pure parts promise, tried at random.

mod decode;
mod differential;
mod interleavings;
mod watching;
mod world;

use tiffin_order::{OrderId, Reason, Status};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::update::Change;

pub(crate) const ORDER: OrderId = OrderId::new(Uuid::from_u128(0x0198_c5a0_7b1e_7c3a_9f5e_3b1f_0d9a_4c21));

/// The change that makes this version; the event is another in each `log`.
pub(crate) fn change(version: u32, status: Status, log: u32) -> Change {
    Change {
        order: ORDER,
        version,
        status,
        reason: (status == Status::Cancelled).then_some(Reason::CancelledByStaff),
        at: OffsetDateTime::UNIX_EPOCH
            + Duration::milliseconds(1_700_000_000_123)
            + Duration::seconds(version.into()),
        event: Uuid::from_u64_pair(version.into(), log.into()),
        trace: None,
    }
}
