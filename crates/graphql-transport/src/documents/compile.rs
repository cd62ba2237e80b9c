//! Parses, measures and validates a document, once.

use std::sync::Arc;

use async_graphql::{
    SchemaEnv, ServerError,
    parser::{self, parse_query},
};

use super::{Document, arguments, escapes};
use crate::{
    engine::rules::StaticRules,
    error::Refusal,
    limits::{Limits, measure},
};

/// Makes a document of `text`: costs up to a few milliseconds, and never waits.
///
/// # Errors
/// What is wrong with it, in an order that depends on the text alone.
pub(crate) fn compile(
    text: &str,
    limits: &Limits,
    schema: &SchemaEnv,
    rules: &(impl StaticRules + ?Sized),
) -> Result<Document, Vec<ServerError>> {
    let tokens = limits.check_text(text)?;
    let parsed = parse_query(escapes::resolved(text)).map_err(|error| syntax_error(&error))?;
    measure(&parsed, limits)?;
    let found = arguments::check_document(schema, &parsed).map_err(in_order)?;
    rules.check(&parsed).map_err(in_order)?;
    Ok(Document {
        text: Arc::from(text),
        tokens,
        parsed,
        mixed_arguments: found.mixed,
        pages: found.pages,
    })
}

/// The engine walks hash maps, so its errors come in any order.
fn in_order(mut errors: Vec<ServerError>) -> Vec<ServerError> {
    errors.sort_by_cached_key(|error| {
        let at: Vec<_> = error.locations.iter().map(|at| (at.line, at.column)).collect();
        (at, error.message.clone())
    });
    // More than one of its rules may say the same.
    errors.dedup_by(|error, other| error.locations == other.locations && error.message == other.message);
    errors
}

/// The parser's error without its drawing of the source, and with the first position alone: the others depend on
/// the order of a hash map.
fn syntax_error(error: &parser::Error) -> Refusal {
    let position = error.positions().next();
    let message = match error {
        parser::Error::Syntax { message, .. } => {
            let expected = message.lines().last().unwrap_or_default();
            format!("Syntax error: {}.", expected.trim_start_matches([' ', '=']))
        }
        parser::Error::MultipleOperations { .. } => {
            "An operation without a name must be the only one in its document.".to_owned()
        }
        parser::Error::RecursionLimitExceeded => "Syntax error: nested too deep.".to_owned(),
        other => format!("Syntax error: {other}."),
    };
    let refusal = Refusal::bad_input(message);
    match position {
        Some(position) => refusal
            .at(position)
            .hint("Correct the document at the place that locations names."),
        None => refusal,
    }
}
