//! What a document may cost, decided before anything is executed.

mod measure;
pub(crate) mod pages;
mod tokens;

use serde::{Deserialize, Serialize};

pub(crate) use measure::measure;
pub(crate) use tokens::string_end;

use crate::error::{Code, Refusal};

/// The query limits. A request above any of them is refused before it is executed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of an HTTP body or a WebSocket message.
    pub body_bytes: usize,
    /// Bytes of a document.
    pub document_bytes: usize,
    /// Lexical tokens of a document, counted before it is parsed.
    pub tokens: usize,
    /// Selections of a document, `__typename` included, each fragment counted at every spread.
    pub selections: usize,
    /// Fields of an answer, as far as a request says how many there are: what is selected below a page, a field with
    /// an argument `first`, counts as often as `first` or `last` says, else 20 times.
    pub fields: usize,
    /// Fields within one another, fragments expanded.
    pub depth: usize,
    /// Selection sets within one another, fragments and inline fragments included; at most
    /// [`Self::NESTING_AT_MOST`].
    pub nesting: usize,
    /// Aliases as written.
    pub aliases: usize,
    /// Directives as written.
    pub directives: usize,
    /// Operations in one document.
    pub operations: usize,
    /// Root fields of one operation, fragments expanded; a mutation or subscription has one.
    pub root_fields: usize,
    /// Questions about the schema in one operation: `__schema`, `types` in it, and `__type`, fragments expanded. A few
    /// selections of each make a large answer.
    pub introspections: usize,
    /// Variables sent or declared.
    pub variables: usize,
    /// Errors in a reply; those above are left out.
    pub errors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024,
            document_bytes: 16 * 1024,
            tokens: 2_000,
            selections: 500,
            fields: 5_000,
            depth: 16,
            nesting: Self::NESTING_AT_MOST,
            aliases: 30,
            directives: 20,
            operations: 10,
            root_fields: 10,
            introspections: 3,
            variables: 20,
            errors: 5,
        }
    }
}

impl Limits {
    /// The engine refuses more on its own.
    pub const NESTING_AT_MOST: usize = 32;

    /// Refuses a text that is too long to be looked at any further; else the number of its tokens.
    pub(crate) fn check_text(&self, text: &str) -> Result<usize, Refusal> {
        within("bytes in the document", text.len(), self.document_bytes)?;
        let tokens = tokens::count(text, self.tokens);
        within("tokens", tokens, self.tokens)?;
        Ok(tokens)
    }

    pub(crate) fn check_variables(&self, sent: usize) -> Result<(), Refusal> {
        within("variables", sent, self.variables)
    }
}

/// Refuses `found` of something when at most `allowed` are allowed. The refusal does not say how many were found,
/// since counting ends at the limit.
fn within(what: &str, found: usize, allowed: usize) -> Result<(), Refusal> {
    if found <= allowed {
        return Ok(());
    }
    let message = format!("The query has too many {what}: at most {allowed} are allowed.");
    Err(Refusal::new(Code::QueryTooCostly, message))
}

#[cfg(test)]
mod tests;
