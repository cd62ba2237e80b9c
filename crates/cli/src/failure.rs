//! Why a command did not do what it was asked for, and the exit code that says so.

use std::{borrow::Cow, fmt::Display, process::ExitCode, time::Duration};

use serde_json::{Value, json};
use tiffin_graphql::ErrorCode;
use tiffin_proto::v1;

use crate::output;

/// The exit codes of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something went wrong.
    Fault = 1,
    /// The command line, a setting or what was asked for makes no sense.
    Usage = 2,
    /// There is no such order.
    NotFound = 3,
    /// The order's state, or the key's role, does not allow it.
    Refused = 4,
    /// The server cannot be reached or asks to try again later.
    Unavailable = 5,
}

impl Exit {
    /// The code of an error that the server knows nothing of.
    fn code(self) -> &'static str {
        match self {
            Self::Fault => "FAILED",
            Self::Usage => ErrorCode::BadUserInput.as_str(),
            Self::NotFound => ErrorCode::NotFound.as_str(),
            Self::Refused => ErrorCode::Forbidden.as_str(),
            Self::Unavailable => ErrorCode::Unavailable.as_str(),
        }
    }
}

/// What a command that failed says.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    hint: Option<String>,
    code: Cow<'static, str>,
    request: Request,
}

/// What became of the request that failed.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    /// It certainly never reached a server.
    Unsent,
    /// It was refused as a whole, and may be sent again after this time.
    Refused(Duration),
    /// No answer came in time.
    Late,
    /// It was answered, or there was none, or nobody knows.
    Ended,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            hint: None,
            code: exit.code().into(),
            request: Request::Ended,
        }
    }

    /// Something went wrong for which nobody is to blame who reads it.
    pub(crate) fn fault(message: impl Display) -> Self {
        Self::new(Exit::Fault, message)
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { hint, ..self }
    }

    /// The request never reached a server.
    pub(crate) fn unsent(self) -> Self {
        let request = Request::Unsent;
        Self { request, ..self }
    }

    /// No answer came in time.
    pub(crate) fn late(self) -> Self {
        let request = Request::Late;
        Self { request, ..self }
    }

    /// The first of a GraphQL answer's errors.
    pub(crate) fn from_graphql(errors: &Value) -> Self {
        let error = &errors[0];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let code = text(&error["extensions"]["code"]);
        let exit = code
            .as_deref()
            .and_then(|code| code.parse().ok())
            .map_or(Exit::Fault, exit);
        Self {
            exit,
            message: text(&error["message"]).unwrap_or_else(|| format!("the server refused it: {errors}")),
            hint: text(&error["extensions"]["hint"]),
            code: code.map_or(exit.code().into(), Cow::Owned),
            request: match error["extensions"]["retryAfterMs"].as_u64() {
                Some(pause) => Request::Refused(Duration::from_millis(pause)),
                None => Request::Ended,
            },
        }
    }

    /// What a service answered over NATS.
    pub(crate) fn from_service(error: v1::Error) -> Self {
        let exit = error.code.parse().map_or(Exit::Fault, exit);
        Self {
            exit,
            message: error.message,
            hint: Some(error.hint).filter(|hint| !hint.is_empty()),
            code: error.code.into(),
            request: Request::Ended,
        }
    }

    /// Whether the request certainly had no effect, because it never reached a server, or was refused as a whole.
    pub(crate) fn had_no_effect(&self) -> bool {
        matches!(self.request, Request::Unsent | Request::Refused(_))
    }

    /// When the server wants to be asked again; `None` if it did not say.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.request {
            Request::Refused(pause) => Some(pause),
            Request::Unsent | Request::Late | Request::Ended => None,
        }
    }

    /// Whether no answer came in time, so that somebody may be there.
    pub(crate) fn is_late(&self) -> bool {
        self.request == Request::Late
    }

    /// Whether the same request, sent again, may succeed.
    pub(crate) fn retryable(&self) -> bool {
        self.exit == Exit::Unavailable
    }

    /// Says on standard error what is wrong.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if json {
            let error = json!({ "message": self.message, "code": self.code, "hint": self.hint });
            output::say(json!({ "error": error }));
        } else {
            output::say(format_args!("error: {}", self.message));
            if let Some(hint) = &self.hint {
                output::say(format_args!("hint: {hint}"));
            }
        }
        ExitCode::from(self.exit as u8)
    }
}

fn exit(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::BadUserInput | ErrorCode::QueryTooCostly | ErrorCode::PayloadTooLarge => Exit::Usage,
        ErrorCode::NotFound => Exit::NotFound,
        ErrorCode::Unauthenticated
        | ErrorCode::Forbidden
        | ErrorCode::OrderNotCancellable
        | ErrorCode::IdempotencyKeyReused => Exit::Refused,
        _ if code.retryable() => Exit::Unavailable,
        _ => Exit::Fault,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_by_the_server_becomes_its_exit_code_with_the_hint() {
        let extensions = json!({ "code": "ORDER_NOT_CANCELLABLE", "hint": "Eat it." });
        let failure = Failure::from_graphql(&json!([{ "message": "Too late.", "extensions": extensions }]));
        let expected = Failure::new(Exit::Refused, "Too late.").hint("Eat it.");
        let code = "ORDER_NOT_CANCELLABLE".into();
        assert_eq!(failure, Failure { code, ..expected });
    }

    #[test]
    fn a_server_that_says_when_to_ask_again_has_done_nothing() {
        let overloaded = json!({ "code": "OVERLOADED", "retryAfterMs": 1_500 });
        let refused = Failure::from_graphql(&json!([{ "message": "Later.", "extensions": overloaded }]));
        assert!(refused.had_no_effect());
        assert_eq!(refused.retry_after(), Some(Duration::from_millis(1_500)));
        let timeout = json!({ "code": "TIMEOUT" });
        let unknown = Failure::from_graphql(&json!([{ "message": "Who knows.", "extensions": timeout }]));
        assert!(!unknown.had_no_effect());
        assert_eq!(unknown.retry_after(), None);
    }

    #[test]
    fn what_may_succeed_later_is_unavailable_and_what_is_unknown_a_fault() {
        for code in ErrorCode::ALL {
            assert_eq!(exit(code) == Exit::Unavailable, code.retryable(), "{code}");
        }
        let failure = Failure::from_graphql(&json!([{ "message": "?", "extensions": { "code": "NEW" } }]));
        assert_eq!((failure.exit, &*failure.code), (Exit::Fault, "NEW"));
    }
}
