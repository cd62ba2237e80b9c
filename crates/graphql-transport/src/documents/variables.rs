//! Checks the variables of one request and fills in their defaults.

use async_graphql::{SchemaEnv, ServerError, Value, Variables, parser::types::OperationDefinition};

use super::input;
use crate::error::Refusal;

/// The operation's variables with defaults filled in; what was sent beyond them is left out.
///
/// # Errors
/// One error for each variable that is missing or does not fit its type, in the order of their definitions.
pub(super) fn complete(
    schema: &SchemaEnv,
    operation: &OperationDefinition,
    mut sent: Variables,
) -> Result<Variables, Vec<ServerError>> {
    let mut complete = Variables::default();
    let mut errors = Vec::new();
    for definition in &operation.variable_definitions {
        let name = &definition.node.name.node;
        let ty = &definition.node.var_type.node;
        match (sent.remove(name), &definition.node.default_value) {
            (Some(value), _) => match input::check(&schema.registry, &ty.to_string(), &value, name) {
                Ok(()) => drop(complete.insert(name.clone(), value)),
                Err(misfit) => errors.push(
                    Refusal::bad_input(format!("Variable \"${name}\" does not fit: {}.", misfit.problem))
                        .field(misfit.field)
                        .at(definition.pos)
                        .into(),
                ),
            },
            (None, Some(default)) => drop(complete.insert(name.clone(), default.node.clone())),
            (None, None) if ty.nullable => {}
            (None, None) => errors.push(
                Refusal::bad_input(format!("Variable \"${name}\" of type {ty} was not sent."))
                    .field(name.as_str())
                    .at(definition.pos)
                    .into(),
            ),
        }
    }
    if errors.is_empty() {
        Ok(complete)
    } else {
        Err(errors)
    }
}

/// The value with variables put in; null for one that was not sent.
pub(crate) fn substitute(value: &async_graphql_value::Value, variables: &Variables) -> Value {
    let substituted = value.clone().into_const_with(|name| {
        Ok::<_, std::convert::Infallible>(variables.get(&name).cloned().unwrap_or_default())
    });
    match substituted {
        Ok(value) => value,
    }
}
