//! Why a relay stops publishing and looks at its stream again.

use std::error::Error;

use async_nats::{
    client::{PublishError, PublishErrorKind},
    jetstream::{self, ErrorCode},
};
use tiffin_eventstore::{DerivedError, ReadError, SubscribeError};

use super::batch::Acknowledged;
use crate::ensure::EnsureError;

/// Every word of [`Fault::reason`].
pub(crate) const REASONS: [&str; 9] = [
    "refused",
    "unacknowledged",
    "stream",
    "publish",
    "disconnected",
    "lease",
    "fenced",
    "log_replaced",
    "store",
];

#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the stream's last sequence is not what this relay left")]
    Refused,
    #[error("no acknowledgement came in time")]
    Unacknowledged,
    #[error("the stream is not there")]
    NoStream,
    #[error("a message was not stored: {0}")]
    Publish(#[source] Box<dyn Error + Send + Sync>),
    #[error("a message of a batch has not arrived")]
    Gap,
    #[error("acknowledged {} messages up to sequence {} of {}, expected {expected_count} up to {expected}", .stored.count, .stored.sequence, .stored.stream)]
    Displaced {
        stored: Acknowledged,
        expected: u64,
        expected_count: usize,
    },
    #[error("the connection was lost")]
    Disconnected,
    #[error("the lease was lost")]
    Lease,
    #[error("another relay saved its checkpoint first")]
    Fenced,
    #[error("the log was replaced")]
    LogReplaced,
    #[error("the stream's messages could not be read: {0}")]
    Stream(#[source] async_nats::Error),
    #[error(transparent)]
    Ensure(#[from] EnsureError),
    #[error("the log could not be read: {0}")]
    Read(ReadError),
    #[error("the checkpoint could not be used: {0}")]
    Derived(DerivedError),
    #[error("the event store is closed")]
    Closed,
}

impl Fault {
    /// A message was not stored, for another reason than those that have a fault of their own.
    pub(super) fn publish(error: impl Error + Send + Sync + 'static) -> Fault {
        Fault::Publish(error.into())
    }

    /// Whether it is one of the database that passes, of which the store has told already.
    pub(super) fn passes(&self) -> bool {
        match self {
            Fault::Read(error) => error.passes(),
            Fault::Derived(error) => error.passes(),
            _ => false,
        }
    }

    /// A word for the metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Fault::Refused | Fault::Displaced { .. } | Fault::Gap => "refused",
            Fault::Unacknowledged => "unacknowledged",
            Fault::NoStream | Fault::Ensure(_) | Fault::Stream(_) => "stream",
            Fault::Publish(_) => "publish",
            Fault::Disconnected => "disconnected",
            Fault::Lease => "lease",
            Fault::Fenced => "fenced",
            Fault::LogReplaced => "log_replaced",
            Fault::Read(_) | Fault::Derived(_) | Fault::Closed => "store",
        }
    }
}

impl From<PublishError> for Fault {
    fn from(error: PublishError) -> Fault {
        match error.kind() {
            PublishErrorKind::Send => Fault::Disconnected,
            _ => Fault::publish(error),
        }
    }
}

impl From<jetstream::Error> for Fault {
    fn from(error: jetstream::Error) -> Fault {
        match error.error_code() {
            ErrorCode::STREAM_WRONG_LAST_SEQUENCE => Fault::Refused,
            _ => Fault::publish(error),
        }
    }
}

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Fault {
        match error {
            ReadError::LogReplaced => Fault::LogReplaced,
            error @ ReadError::Unavailable(_) => Fault::Read(error),
        }
    }
}

impl From<SubscribeError> for Fault {
    fn from(error: SubscribeError) -> Fault {
        match error {
            SubscribeError::LogReplaced => Fault::LogReplaced,
            SubscribeError::Closed => Fault::Closed,
        }
    }
}

impl From<DerivedError> for Fault {
    fn from(error: DerivedError) -> Fault {
        match error {
            DerivedError::Fenced(_) => Fault::Fenced,
            error @ DerivedError::Unavailable(_) => Fault::Derived(error),
        }
    }
}
