//! Faults of ours: what the log says about them, and the little that a client is told.

use std::time::Duration;

use tiffin_eventstore::{DerivedError, ReadError, RecordedEvent};
use tiffin_graphql::{Error, ErrorCode};
use tiffin_proto::DecodeError;

const READ_AGAIN: &str = "Send the same request again after retryAfterMs.";

/// The store could not be read, and has told of it.
pub(crate) fn read(error: &ReadError) -> Error {
    tracing::debug!(%error, "an order could not be read");
    again(READ_AGAIN)
}

/// The list could not be read, of which the store has told, too.
pub(crate) fn derived(error: &DerivedError) -> Error {
    tracing::debug!(%error, "the list of orders could not be read");
    again(READ_AGAIN)
}

/// Something is away, nothing was done by this, and asking again does no harm.
pub(crate) fn again(hint: &'static str) -> Error {
    Error::from(ErrorCode::Unavailable)
        .hint(hint)
        .retry_after(Duration::from_secs(1))
}

/// This event could not be decoded.
pub(crate) fn event(event: &RecordedEvent) -> impl Fn(DecodeError) -> Error {
    move |error| {
        tracing::error!(position = %event.position, stream = %event.stream, %error, "an event cannot be read");
        ErrorCode::Internal.into()
    }
}

/// This event does not begin an order that is known here.
pub(crate) fn unreadable(event: &RecordedEvent) -> Error {
    tracing::error!(position = %event.position, stream = %event.stream, "a newer version placed this order");
    ErrorCode::Internal.into()
}

#[cfg(test)]
mod tests {
    use tiffin_graphql_transport::Code;

    use super::*;

    #[test]
    fn whatever_the_transport_refuses_has_a_code_of_the_contract() {
        for code in Code::ALL {
            let contract = code.as_str().parse::<ErrorCode>().map(ErrorCode::as_str);
            assert_eq!(contract, Ok(code.as_str()));
        }
    }
}
