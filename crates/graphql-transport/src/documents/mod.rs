//! From a request's text to an operation that may be executed: parsed, measured and validated once, its variables
//! checked every time.

mod arguments;
mod cache;
mod compile;
mod escapes;
mod input;
mod prepared;
mod variables;

use std::sync::Arc;

use async_graphql::{
    SchemaEnv, ServerError, Variables,
    parser::types::{ExecutableDocument, OperationType},
    registry::{MetaType, Registry},
};

pub(crate) use cache::Cache;
pub(crate) use compile::compile;
pub use prepared::Prepared;
pub(crate) use variables::substitute;

use crate::limits::{Limits, pages};

/// A document that passed the limits and the schema's static rules.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) text: Arc<str>,
    pub(crate) tokens: usize,
    pub(crate) parsed: ExecutableDocument,
    /// Argument values that mix literals and variables: what they become is checked with each request's variables.
    pub(crate) mixed_arguments: bool,
    /// Pages: what they weigh depends on each request's variables.
    pub(crate) pages: bool,
}

/// Chooses the operation and checks the variables, in the same way for a document just compiled and one from the
/// cache.
pub(crate) fn prepare(
    schema: &SchemaEnv,
    document: Arc<Document>,
    name: Option<&str>,
    variables: Variables,
    limits: &Limits,
) -> Result<Prepared, Vec<ServerError>> {
    let name = prepared::choose(&document.parsed, name)?;
    let operation = prepared::operation(&document.parsed, name.as_ref());
    let variables = variables::complete(schema, operation, variables)?;
    if document.mixed_arguments {
        arguments::check_operation(schema, &document.parsed, operation, &variables)?;
    }
    if document.pages {
        pages::weigh(&schema.registry, &document.parsed, operation, &variables, limits)?;
    }
    Ok(Prepared {
        document,
        name,
        variables,
    })
}

/// The type in which an operation begins; `None` if the schema has no such operations.
pub(crate) fn root(registry: &Registry, operation: OperationType) -> Option<&MetaType> {
    let name = match operation {
        OperationType::Query => Some(&registry.query_type),
        OperationType::Mutation => registry.mutation_type.as_ref(),
        OperationType::Subscription => registry.subscription_type.as_ref(),
    };
    name.and_then(|name| registry.types.get(name))
}
