//! Answering requests over NATS in the language that they are written in.

use std::fmt::Display;

use bytes::Bytes;
use prost::{Message, Name};
use tiffin_bus::{ServiceError, ServiceRequest};
use tiffin_proto::{Language, v1};
use tiffin_trace::TraceParent;

/// Carries a request out, and answers in the language that it is written in, protobuf or JSON. `work` is given the request
/// and what it belongs to; `wrap` makes an answer of what comes of it.
///
/// # Errors
/// The answer cannot be written, with code 500.
pub async fn answer<Q, A, T, F>(
    request: ServiceRequest,
    work: impl FnOnce(Q, Option<TraceParent>) -> F + Send,
    wrap: impl FnOnce(Result<T, v1::Error>) -> A + Send,
) -> Result<Bytes, ServiceError>
where
    Q: Message + Name + Default,
    A: Message + Name,
    F: Future<Output = Result<T, v1::Error>> + Send,
{
    let language = Language::of(&request.payload);
    let question = language.read(&request.payload);
    let trace = request.headers.trace();
    let result = match question {
        Ok(question) => work(question, trace).await,
        Err(problem) => Err(wrong(
            problem,
            "Send the request as protobuf, or as a JSON object.",
        )),
    };
    let written = language.write(&wrap(result));
    written.map(Bytes::from).map_err(|error| ServiceError {
        code: 500,
        message: error.to_string(),
    })
}

/// The refusal of a request that is wrong.
pub fn wrong(problem: impl Display, hint: &str) -> v1::Error {
    error("BAD_USER_INPUT", problem, hint)
}

/// What is told to whoever asked: a code, what is the matter, and what to do.
pub fn error(code: &str, message: impl Display, hint: &str) -> v1::Error {
    v1::Error {
        code: code.to_owned(),
        message: message.to_string(),
        hint: hint.to_owned(),
    }
}
