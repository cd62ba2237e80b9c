//! Checks the arguments written in a document against the schema, more exactly than the engine's rules do: the same
//! answer every time, and integers of 32 bits.

use std::collections::HashSet;

use async_graphql::{
    Name, Positioned, SchemaEnv, ServerError, Variables,
    indexmap::IndexMap,
    parser::types::{
        Directive, ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection,
        SelectionSet,
    },
    registry::{MetaInputValue, MetaType, Registry},
};
use async_graphql_value::Value;

use super::{input, root, variables};
use crate::{error::Refusal, limits::pages};

/// What a document has that is judged again once its variables are known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Arguments that mix literals with variables.
    pub(super) mixed: bool,
    /// Pages, whose length is an argument.
    pub(super) pages: bool,
}

/// Checks every argument of every definition, taking variables to fit.
pub(super) fn check_document(
    schema: &SchemaEnv,
    document: &ExecutableDocument,
) -> Result<Found, Vec<ServerError>> {
    let mut checking = Checking::new(schema, None);
    for (_, operation) in document.operations.iter() {
        checking.operation(&operation.node);
    }
    for fragment in document.fragments.values() {
        checking.fragment(&fragment.node);
    }
    let found = checking.found;
    checking.finish().map(|()| found)
}

/// Checks the arguments of one operation, and of the fragments that it spreads, with its variables put in.
pub(super) fn check_operation(
    schema: &SchemaEnv,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
) -> Result<(), Vec<ServerError>> {
    let mut checking = Checking::new(schema, Some(variables));
    checking.operation(operation);
    let mut seen = HashSet::new();
    while let Some(name) = checking.spread.pop() {
        if let Some(fragment) = document.fragments.get(name).filter(|_| seen.insert(name)) {
            checking.fragment(&fragment.node);
        }
    }
    checking.finish()
}

struct Checking<'a> {
    registry: &'a Registry,
    variables: Option<&'a Variables>,
    found: Found,
    /// Fragments that were spread.
    spread: Vec<&'a Name>,
    errors: Vec<ServerError>,
}

impl<'a> Checking<'a> {
    fn new(schema: &'a SchemaEnv, variables: Option<&'a Variables>) -> Self {
        Self {
            registry: &schema.registry,
            variables,
            found: Found::default(),
            spread: Vec::new(),
            errors: Vec::new(),
        }
    }

    fn finish(self) -> Result<(), Vec<ServerError>> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(self.errors)
        }
    }

    fn named(&self, name: &str) -> Option<&'a MetaType> {
        self.registry.types.get(name)
    }

    fn operation(&mut self, operation: &'a OperationDefinition) {
        self.directives(&operation.directives);
        self.selections(root(self.registry, operation.ty), &operation.selection_set.node);
    }

    fn fragment(&mut self, fragment: &'a FragmentDefinition) {
        self.directives(&fragment.directives);
        let condition = self.named(&fragment.type_condition.node.on.node);
        self.selections(condition, &fragment.selection_set.node);
    }

    /// `parent`: none where the document names what the schema does not know; the engine's rules say so.
    fn selections(&mut self, parent: Option<&'a MetaType>, set: &'a SelectionSet) {
        for item in &set.items {
            self.directives(item.node.directives());
            match &item.node {
                Selection::Field(field) if field.node.name.node == "__typename" => self.typename(field),
                Selection::Field(field) => {
                    let known = parent.and_then(|parent| parent.field_by_name(&field.node.name.node));
                    if let Some(known) = known {
                        self.found.pages |= pages::is_page(known);
                        self.arguments(&known.args, &field.node.arguments);
                    }
                    let ty = known.and_then(|known| self.registry.concrete_type_by_name(&known.ty));
                    self.selections(ty, &field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let ty = condition.map_or(parent, |condition| self.named(&condition.node.on.node));
                    self.selections(ty, &fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => self.spread.push(&spread.node.fragment_name.node),
            }
        }
    }

    /// A field of every type, which the engine's rules pass over.
    fn typename(&mut self, field: &Positioned<Field>) {
        let Field {
            arguments,
            selection_set,
            ..
        } = &field.node;
        if let Some((name, _)) = arguments.first() {
            let message = format!("Unknown argument \"{}\" on field \"__typename\".", name.node);
            self.errors.push(Refusal::bad_input(message).at(name.pos).into());
        }
        if !selection_set.node.items.is_empty() {
            let message = "Field \"__typename\" is a text, and nothing can be selected of it.";
            self.errors
                .push(Refusal::bad_input(message).at(selection_set.pos).into());
        }
    }

    fn directives(&mut self, directives: &'a [Positioned<Directive>]) {
        for directive in directives {
            if let Some(known) = self.registry.directives.get(directive.node.name.node.as_str()) {
                self.arguments(&known.args, &directive.node.arguments);
            }
        }
    }

    fn arguments(
        &mut self,
        known: &IndexMap<String, MetaInputValue>,
        given: &[(Positioned<Name>, Positioned<Value>)],
    ) {
        for (name, value) in given {
            let Some(known) = known.get(name.node.as_str()) else {
                continue;
            };
            let mixed = !matches!(value.node, Value::Variable(_)) && has_variables(&value.node);
            self.found.mixed |= mixed;
            let checked = match self.variables {
                None => input::check(self.registry, &known.ty, &value.node, &name.node),
                Some(variables) if mixed => input::check(
                    self.registry,
                    &known.ty,
                    &variables::substitute(&value.node, variables),
                    &name.node,
                ),
                Some(_) => continue,
            };
            if let Err(misfit) = checked {
                let message = format!("Argument \"{}\" does not fit: {}.", name.node, misfit.problem);
                self.errors.push(
                    Refusal::bad_input(message)
                        .field(misfit.field)
                        .at(value.pos)
                        .into(),
                );
            }
        }
    }
}

fn has_variables(value: &Value) -> bool {
    match value {
        Value::Variable(_) => true,
        Value::List(items) => items.iter().any(has_variables),
        Value::Object(members) => members.values().any(has_variables),
        _ => false,
    }
}
