//! Why a command did not do what it was asked for, and the exit code that says so.

use std::{fmt::Display, process::ExitCode};

use serde_json::{Value, json};
use tiffin_graphql::ErrorCode;

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

/// What a command that failed says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    hint: Option<String>,
    code: Option<ErrorCode>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        let (message, hint, code) = (message.to_string(), None, None);
        Self {
            exit,
            message,
            hint,
            code,
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

    /// The first of a GraphQL answer's errors.
    pub(crate) fn from_graphql(errors: &Value) -> Self {
        let error = &errors[0];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let code = error["extensions"]["code"]
            .as_str()
            .and_then(|code| code.parse().ok());
        Self {
            exit: code.map_or(Exit::Fault, exit),
            message: text(&error["message"]).unwrap_or_else(|| format!("the server refused it: {errors}")),
            hint: text(&error["extensions"]["hint"]),
            code,
        }
    }

    /// Whether the same request, sent again, may succeed.
    pub(crate) fn retryable(&self) -> bool {
        self.exit == Exit::Unavailable
    }

    /// Says on standard error what is wrong.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if json {
            let code = self.code.map(ErrorCode::as_str);
            let error = json!({ "message": self.message, "code": code, "hint": self.hint });
            eprintln!("{}", json!({ "error": error }));
        } else {
            eprintln!("error: {}", self.message);
            if let Some(hint) = &self.hint {
                eprintln!("hint: {hint}");
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
        assert_eq!(
            failure,
            Failure {
                code: Some(ErrorCode::OrderNotCancellable),
                ..expected
            }
        );
    }

    #[test]
    fn what_may_succeed_later_is_unavailable_and_what_is_unknown_a_fault() {
        for code in ErrorCode::ALL {
            assert_eq!(exit(code) == Exit::Unavailable, code.retryable(), "{code}");
        }
        let failure = Failure::from_graphql(&json!([{ "message": "?", "extensions": { "code": "NEW" } }]));
        assert_eq!(failure.exit, Exit::Fault);
    }
}
