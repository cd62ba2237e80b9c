//! Replies as JSON: coded errors, faults masked, no `data` where nothing was executed.

use std::collections::BTreeMap;

use async_graphql::{PathSegment, Response, ServerError, Value};
use bytes::Bytes;
use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{engine::is_refusal, error::Code};

/// Messages that quote a document or a value are cut after so many characters.
const MESSAGE_CHARS: usize = 400;

/// The execution result of `response` in one line, with at most `errors` errors.
pub fn render(mut response: Response, errors: usize) -> Bytes {
    let refusal = is_refusal(&response);
    let found = std::mem::take(&mut response.errors);
    let reply = Reply {
        errors: &finished(found, errors),
        data: (!refusal).then_some(&response.data),
        extensions: &response.extensions,
    };
    json(&reply)
}

/// The reply to a request that was not executed.
pub(crate) fn render_errors(found: Vec<ServerError>, errors: usize) -> Bytes {
    json(&Reply {
        errors: &finished(found, errors),
        data: None,
        extensions: &BTreeMap::new(),
    })
}

/// The errors alone, as a JSON array.
pub(crate) fn render_error_list(found: Vec<ServerError>, errors: usize) -> Bytes {
    let found = finished(found, errors);
    json(&found.iter().map(ErrorView).collect::<Vec<_>>())
}

/// The first of the errors, alone.
pub(crate) fn render_first_error(found: Vec<ServerError>) -> Bytes {
    json(&finished(found, 1).first().map(ErrorView))
}

/// The code of an error, as far as it has one.
pub(crate) fn code(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}

fn json(value: &impl Serialize) -> Bytes {
    // Maps have text keys and numbers are finite, so this cannot fail; were it to, an error says more than a panic.
    serde_json::to_vec(value).map_or_else(
        |_| Bytes::from_static(br#"{"errors":[{"message":"The reply could not be written."}]}"#),
        Bytes::from,
    )
}

/// Makes every error one that a client may see, and leaves out those above `at_most`.
pub(crate) fn finished(mut errors: Vec<ServerError>, at_most: usize) -> Vec<ServerError> {
    errors.truncate(at_most.max(1));
    for error in &mut errors {
        if code(error).is_none() {
            classify(error);
        }
        advise(error);
        if let Some((end, _)) = error.message.char_indices().nth(MESSAGE_CHARS) {
            error.message.truncate(end);
            error.message.push('…');
        }
    }
    errors
}

/// Gives a code to an error that came without: the engine's own, or a fault.
fn classify(error: &mut ServerError) {
    // Without a path it comes from validation; these beginnings are the engine's for a value that a scalar or a validator
    // refused.
    let refused = [
        "Failed to parse \"",
        "Expected input type \"",
        "Invalid value for argument",
    ];
    let input = error.path.is_empty() || refused.iter().any(|begin| error.message.starts_with(begin));
    let code = if input {
        Code::BadUserInput
    } else {
        tracing::error!(error = %error.message, path = ?error.path, "a resolver failed without a code");
        "Something went wrong on our side.".clone_into(&mut error.message);
        Code::Internal
    };
    error
        .extensions
        .get_or_insert_default()
        .set("code", code.as_str());
}

/// Gives a hint to an error that came without.
fn advise(error: &mut ServerError) {
    let Some(code) = code(error).and_then(Code::named) else {
        return;
    };
    let extensions = error.extensions.get_or_insert_default();
    if extensions.get("hint").is_none() {
        extensions.set("hint", code.hint());
    }
}

struct Reply<'a> {
    errors: &'a [ServerError],
    data: Option<&'a Value>,
    extensions: &'a BTreeMap<String, Value>,
}

impl Serialize for Reply<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(data) = self.data {
            map.serialize_entry("data", data)?;
        }
        if !self.errors.is_empty() {
            map.serialize_entry("errors", &self.errors.iter().map(ErrorView).collect::<Vec<_>>())?;
        }
        if !self.extensions.is_empty() {
            map.serialize_entry("extensions", self.extensions)?;
        }
        map.end()
    }
}

/// An error as it is sent.
struct ErrorView<'a>(&'a ServerError);

impl Serialize for ErrorView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(error) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("message", &error.message)?;
        if !error.locations.is_empty() {
            map.serialize_entry("locations", &error.locations)?;
        }
        if !error.path.is_empty() {
            map.serialize_entry::<_, [PathSegment]>("path", &error.path)?;
        }
        map.serialize_entry("errorType", &error_type(code(error).unwrap_or_default()))?;
        if let Some(extensions) = &error.extensions {
            map.serialize_entry("extensions", extensions)?;
        }
        map.end()
    }
}

/// AppSync's name for a code: its own two where it has one, else the code in its way of writing.
fn error_type(code: &str) -> String {
    match code {
        "UNAUTHENTICATED" => "UnauthorizedException".to_owned(),
        "FORBIDDEN" => "Unauthorized".to_owned(),
        _ => code.split('_').map(capitalised).collect(),
    }
}

fn capitalised(word: &str) -> String {
    word.chars()
        .enumerate()
        .map(|(at, c)| if at == 0 { c } else { c.to_ascii_lowercase() })
        .collect()
}
