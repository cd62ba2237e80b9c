//! Refusals and faults as clients see them: a stable code, a message, a hint.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use async_graphql::ErrorExtensions;
use tiffin_order::InvalidInput;

/// The stable code of an error, in its `extensions.code`. None of them tells anything about our insides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request says something that cannot be.
    BadUserInput,
    /// The credential is missing, unknown or expired.
    Unauthenticated,
    /// The credential is good, but its role may never do this.
    Forbidden,
    /// There is no such order, or it belongs to somebody else.
    NotFound,
    /// The order is too far on its way.
    OrderNotCancellable,
    /// The idempotency key was used for another order.
    IdempotencyKeyReused,
    /// This address answers subscriptions only.
    SubscriptionsOnly,
    /// The document is larger or deeper than the query limits.
    QueryTooCostly,
    /// The body is larger than the limit.
    PayloadTooLarge,
    /// The caller asks too often.
    RateLimited,
    /// More orders come in than can be taken up.
    Overloaded,
    /// The answer took too long; what was asked for may or may not have happened.
    Timeout,
    /// Something that is needed is away; what was asked for may or may not have happened.
    Unavailable,
    /// Someone else was faster; the same request may succeed now.
    TryAgain,
    /// A fault of ours.
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 15] = [
        Self::BadUserInput,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::OrderNotCancellable,
        Self::IdempotencyKeyReused,
        Self::SubscriptionsOnly,
        Self::QueryTooCostly,
        Self::PayloadTooLarge,
        Self::RateLimited,
        Self::Overloaded,
        Self::Timeout,
        Self::Unavailable,
        Self::TryAgain,
        Self::Internal,
    ];

    /// The code as it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::OrderNotCancellable => "ORDER_NOT_CANCELLABLE",
            Self::IdempotencyKeyReused => "IDEMPOTENCY_KEY_REUSED",
            Self::SubscriptionsOnly => "SUBSCRIPTIONS_ONLY",
            Self::QueryTooCostly => "QUERY_TOO_COSTLY",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Overloaded => "OVERLOADED",
            Self::Timeout => "TIMEOUT",
            Self::Unavailable => "UNAVAILABLE",
            Self::TryAgain => "TRY_AGAIN",
            Self::Internal => "INTERNAL",
        }
    }

    /// Whether the same request, sent again a little later, may succeed.
    pub fn retryable(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::Overloaded | Self::Timeout | Self::Unavailable | Self::TryAgain
        )
    }

    /// What the code means, in one sentence for whoever reads the error.
    pub fn message(self) -> &'static str {
        match self {
            Self::BadUserInput => "The request says something that cannot be.",
            Self::Unauthenticated => "The credential is missing, unknown or expired.",
            Self::Forbidden => "This credential's role may not do this.",
            Self::NotFound => "There is no such order.",
            Self::OrderNotCancellable => "The order is too far on its way to be cancelled.",
            Self::IdempotencyKeyReused => "This idempotency key was used for another order.",
            Self::SubscriptionsOnly => "This address answers subscriptions only.",
            Self::QueryTooCostly => "The document exceeds the query limits.",
            Self::PayloadTooLarge => "The body is too large.",
            Self::RateLimited => "Too many requests.",
            Self::Overloaded => "More orders are coming in than can be taken up.",
            Self::Timeout => "The answer took too long.",
            Self::Unavailable => "Something that is needed for this is away at the moment.",
            Self::TryAgain => "Somebody else was faster.",
            Self::Internal => "Something went wrong on our side.",
        }
    }
}

impl ErrorCode {
    /// What to do about an error that is about orders and says nothing better of itself; the transports have hints for
    /// the other codes.
    fn hint(self) -> Option<&'static str> {
        match self {
            Self::NotFound => Some("Check the id; an order of somebody else does not exist."),
            Self::OrderNotCancellable => Some("Look at the order: its status says how far it is."),
            Self::IdempotencyKeyReused => {
                Some("Use a new key for each order; repeat a request with its key unchanged.")
            }
            Self::TryAgain => Some("Send the same request again."),
            _ => None,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an error code")]
pub struct NotAnErrorCode;

impl FromStr for ErrorCode {
    type Err = NotAnErrorCode;

    fn from_str(text: &str) -> Result<Self, NotAnErrorCode> {
        Self::ALL
            .into_iter()
            .find(|code| code.as_str() == text)
            .ok_or(NotAnErrorCode)
    }
}

/// What a port answers when it cannot do what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Error {
    code: ErrorCode,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    field: Option<String>,
    retry_after: Option<Duration>,
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }
}

impl From<InvalidInput> for Error {
    fn from(invalid: InvalidInput) -> Self {
        Self::new(ErrorCode::BadUserInput, invalid.to_string())
            .hint(invalid.problem.hint())
            .field(invalid.field)
    }
}

impl Error {
    /// An error with a message of its own, which must not tell anything about our insides.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: code.hint().map(Cow::Borrowed),
            field: None,
            retry_after: None,
        }
    }

    /// Says what to do about it (`extensions.hint`).
    #[must_use]
    pub fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Names the input's member that it is about, such as `input.products[3].quantity` (`extensions.field`).
    #[must_use]
    pub fn field(self, path: impl Into<String>) -> Self {
        Self {
            field: Some(path.into()),
            ..self
        }
    }

    /// Says how long to wait before the next attempt (header `Retry-After`, `extensions.retryAfterMs`).
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }

    /// Its code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }
}

impl ErrorExtensions for Error {
    fn extend(&self) -> async_graphql::Error {
        async_graphql::Error::new(self.message.as_ref()).extend_with(|_, extensions| {
            extensions.set("code", self.code.as_str());
            if let Some(hint) = &self.hint {
                extensions.set("hint", hint.as_ref());
            }
            if let Some(field) = &self.field {
                extensions.set("field", field.as_str());
            }
            if let Some(wait) = self.retry_after {
                extensions.set(
                    "retryAfterMs",
                    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                );
            }
        })
    }
}
