//! Why an order did not move, by who has to act on it.

use tiffin_eventstore::{AppendError, ReadError};
use tiffin_order::Refusal;
use tiffin_proto::DecodeError;

/// Why an input was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// The order does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The order cannot be read and was set aside for it.
    #[error("the order is set aside")]
    Parked,
    /// The handler failed, and would probably fail again: a damaged event, a missing workflow, a panic.
    #[error("{0}")]
    Broken(String),
    /// Others changed the order faster than it could be decided on.
    #[error("the order is changed too often at the moment")]
    Contended,
    /// The database; it counts as nobody's failure and passes.
    #[error("{0}")]
    Unavailable(String),
}

impl Failure {
    /// A word for spans.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Parked => "parked",
            Self::Broken(_) => "broken",
            Self::Contended => "conflict",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<AppendError> for Failure {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Conflict { .. } => Self::Contended,
            AppendError::IdReused { .. } | AppendError::TooLarge { .. } | AppendError::Empty => {
                Self::Broken(error.to_string())
            }
            AppendError::LogReplaced | AppendError::Closed | AppendError::Unavailable(_) => {
                Self::Unavailable(error.to_string())
            }
        }
    }
}

impl From<DecodeError> for Failure {
    fn from(error: DecodeError) -> Self {
        Self::Broken(error.to_string())
    }
}
