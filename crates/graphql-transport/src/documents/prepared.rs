//! An operation that may be executed.

use std::sync::Arc;

use async_graphql::{
    Name, Request, ServerError, Variables,
    parser::types::{
        DocumentOperations, ExecutableDocument, Field, OperationDefinition, OperationType, Selection,
    },
};

use super::Document;
use crate::error::Refusal;

/// An operation that passed the limits, the schema's rules and the check of its variables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) document: Arc<Document>,
    pub(crate) name: Option<Name>,
    pub(crate) variables: Variables,
}

impl Prepared {
    /// The document that the operation stands in, with the fragments that it may spread.
    pub fn document(&self) -> &ExecutableDocument {
        &self.document.parsed
    }

    /// The operation itself.
    pub fn operation(&self) -> &OperationDefinition {
        operation(&self.document.parsed, self.name.as_ref())
    }

    /// Its variables, defaults filled in. Absent is what was not sent and has no default, and may be null.
    pub fn variables(&self) -> &Variables {
        &self.variables
    }

    /// Query, mutation or subscription.
    pub fn kind(&self) -> OperationType {
        self.operation().ty
    }

    /// Whether it asks for nothing but the schema: a query of `__schema`, `__type` and `__typename` alone.
    pub fn is_introspection(&self) -> bool {
        self.kind() == OperationType::Query && self.all_root_fields(&|name| name.starts_with("__"))
    }

    /// Whether it asks for `__schema` or `__type`.
    pub(crate) fn reads_schema(&self) -> bool {
        !self.all_root_fields(&|name| name != "__schema" && name != "__type")
    }

    fn all_root_fields(&self, wanted: &dyn Fn(&str) -> bool) -> bool {
        self.root_fields().iter().all(|field| wanted(&field.name.node))
    }

    /// The keys of its result, in the document's order; none where that cannot have more than one.
    pub(crate) fn root_keys(&self) -> Vec<Name> {
        if let [only] = &*self.operation().selection_set.node.items
            && matches!(only.node, Selection::Field(_))
        {
            return Vec::new();
        }
        let fields = self.root_fields();
        fields
            .iter()
            .map(|field| field.response_key().node.clone())
            .collect()
    }

    /// What is selected of the root, in the document's order, conditions aside.
    fn root_fields(&self) -> Vec<&Field> {
        let mut fields = Vec::new();
        let mut open = vec![self.operation().selection_set.node.items.iter()];
        while let Some(items) = open.last_mut() {
            let Some(item) = items.next() else {
                open.pop();
                continue;
            };
            let inner = match &item.node {
                Selection::Field(field) => {
                    fields.push(&field.node);
                    continue;
                }
                Selection::InlineFragment(fragment) => Some(&fragment.node.selection_set),
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document().fragments.get(&spread.node.fragment_name.node);
                    fragment.map(|it| &it.node.selection_set)
                }
            };
            open.extend(inner.map(|set| set.node.items.iter()));
        }
        fields
    }

    /// The request for the engine, which takes a document of its own, and never looks at its text.
    pub(crate) fn into_request(self) -> Request {
        let mut request = Request::new("").variables(self.variables);
        if let Some(name) = self.name {
            request = request.operation_name(name.as_str());
        }
        request.set_parsed_query(self.document.parsed.clone());
        request
    }
}

/// The operation that [`choose`] named.
pub(super) fn operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&Name>,
) -> &'a OperationDefinition {
    match &document.operations {
        DocumentOperations::Single(operation) => &operation.node,
        DocumentOperations::Multiple(operations) => {
            let chosen = name.and_then(|name| operations.get(name));
            &chosen.expect("the operation was chosen from this document").node
        }
    }
}

/// The name of the operation to execute; none where the document's only one has no name.
pub(super) fn choose(
    document: &ExecutableDocument,
    wanted: Option<&str>,
) -> Result<Option<Name>, Vec<ServerError>> {
    match (&document.operations, wanted) {
        (DocumentOperations::Single(_), None) => Ok(None),
        (DocumentOperations::Multiple(operations), Some(wanted)) if operations.contains_key(wanted) => {
            Ok(Some(Name::new(wanted)))
        }
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => {
            Ok(operations.keys().next().cloned())
        }
        (_, Some(wanted)) => {
            let message = format!("The document has no operation named \"{wanted}\".");
            let hint = "Name one of the document's operations in operationName, or leave it out.";
            Err(Refusal::bad_input(message).hint(hint).into())
        }
        (DocumentOperations::Multiple(_), None) => Err(Refusal::bad_input(
            "The document has several operations, and none is chosen.",
        )
        .hint("Name one in operationName.")
        .into()),
    }
}
