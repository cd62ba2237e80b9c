//! The transports' own errors: a stable code, a message, a hint.

use std::{borrow::Cow, time::Duration};

use async_graphql::{ErrorExtensionValues, Pos, ServerError};
use http::StatusCode;

/// The codes that the transports give of themselves; resolvers have more, under the same rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is not one, or says something that cannot be.
    BadUserInput,
    /// The credential is missing, unknown or expired.
    Unauthenticated,
    /// The credential is good, but may not do this.
    Forbidden,
    /// There is nothing here.
    NotFound,
    /// This address answers subscriptions only.
    SubscriptionsOnly,
    /// The document is over the query limits.
    QueryTooCostly,
    /// The body is over its limit.
    PayloadTooLarge,
    /// The caller asks too often.
    RateLimited,
    /// There is more to do than can be done in time.
    Overloaded,
    /// The answer took too long; what was asked for may or may not have happened.
    Timeout,
    /// Something that is needed is away.
    Unavailable,
    /// A fault of ours; its cause is in the log.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 12] = [
        Self::BadUserInput,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::SubscriptionsOnly,
        Self::QueryTooCostly,
        Self::PayloadTooLarge,
        Self::RateLimited,
        Self::Overloaded,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code that is sent as `text`.
    pub(crate) fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The code as it is sent in `extensions.code`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::SubscriptionsOnly => "SUBSCRIPTIONS_ONLY",
            Self::QueryTooCostly => "QUERY_TOO_COSTLY",
            Self::PayloadTooLarge => "PAYLOAD_TOO_LARGE",
            Self::RateLimited => "RATE_LIMITED",
            Self::Overloaded => "OVERLOADED",
            Self::Timeout => "TIMEOUT",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }

    /// What to do about an error that says nothing better of itself.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::BadUserInput => "Compare the document and its variables with the schema.",
            Self::Unauthenticated => "Send a credential that is accepted.",
            Self::Forbidden => "Use a credential that may do this.",
            Self::NotFound => "Check what was asked for.",
            Self::SubscriptionsOnly => "Send queries and mutations by POST to /graphql.",
            Self::QueryTooCostly => "Ask for less in one request, or split it into several.",
            Self::PayloadTooLarge => "Send less in one request.",
            Self::RateLimited => "Wait before you ask again.",
            Self::Overloaded | Self::Unavailable => "Send the same request again a little later.",
            Self::Timeout => {
                "Ask again. If something was to be changed, it may or may not have happened: look first."
            }
            Self::Internal => "Try again; if it stays like that, tell whoever runs this server.",
        }
    }

    /// The HTTP status of a reply that is nothing but this error.
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadUserInput | Self::SubscriptionsOnly | Self::QueryTooCostly => StatusCode::BAD_REQUEST,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Overloaded | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Why a request is not carried out. Nothing in it tells anything about our insides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Refusal {
    /// What kind of refusal it is.
    pub code: Code,
    /// What is wrong, in one sentence.
    pub message: Cow<'static, str>,
    /// What to do about it (`extensions.hint`); none: what the code's own hint says.
    pub hint: Option<Cow<'static, str>>,
    /// The member of the input that it is about, such as `input.products[3].quantity` (`extensions.field`).
    pub field: Option<String>,
    /// Where in the document it is.
    pub position: Option<Pos>,
    /// How long to wait before the next attempt (header `Retry-After`, `extensions.retryAfterMs`).
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal with nothing but a message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            field: None,
            position: None,
            retry_after: None,
        }
    }

    /// The request is not one, or says something that cannot be.
    pub fn bad_input(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadUserInput, message)
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<Cow<'static, str>>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }

    /// Names the member of the input that it is about.
    #[must_use]
    pub fn field(self, path: impl Into<String>) -> Self {
        Self {
            field: Some(path.into()),
            ..self
        }
    }

    /// Says where in the document it is.
    #[must_use]
    pub fn at(self, position: Pos) -> Self {
        Self {
            position: Some(position),
            ..self
        }
    }

    /// Says how long to wait before the next attempt.
    #[must_use]
    pub fn retry_after(self, wait: Duration) -> Self {
        Self {
            retry_after: Some(wait),
            ..self
        }
    }
}

impl From<Refusal> for ServerError {
    fn from(refusal: Refusal) -> Self {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", refusal.code.as_str());
        if let Some(field) = refusal.field {
            extensions.set("field", field);
        }
        if let Some(hint) = refusal.hint {
            extensions.set("hint", hint.as_ref());
        }
        if let Some(wait) = refusal.retry_after {
            extensions.set(
                "retryAfterMs",
                u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            );
        }
        let mut error = Self::new(refusal.message, refusal.position);
        error.extensions = Some(extensions);
        error
    }
}

impl From<Refusal> for Vec<ServerError> {
    fn from(refusal: Refusal) -> Self {
        vec![refusal.into()]
    }
}
