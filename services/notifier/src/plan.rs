//! Compiles a subscription's document once into what rendering an update needs.

use std::borrow::Cow;

use async_graphql::{
    Name, Number, Positioned, Value, Variables,
    parser::types::{
        Directive, ExecutableDocument, Field as FieldNode, OperationDefinition, Selection, SelectionSet,
    },
};
use tiffin_graphql::{Error, ErrorCode};
use tiffin_order::OrderId;

/// A field of `OrderUpdated`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Typename,
    Id,
    Status,
    UpdatedAt,
    Version,
    Reason,
}

impl Field {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "__typename" => Self::Typename,
            "id" => Self::Id,
            "status" => Self::Status,
            "updatedAt" => Self::UpdatedAt,
            "version" => Self::Version,
            "reason" => Self::Reason,
            _ => return None,
        })
    }
}

/// A selection set with aliases, fragments and conditions resolved: equal shapes give equal bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// The response key of `onOrderUpdated`.
    pub(crate) root: Box<str>,
    pub(crate) members: Box<[Member]>,
}

/// A member of the response: which field stands at which key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: Box<str>,
    pub(crate) field: Field,
}

/// What one subscription asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) order: OrderId,
    /// The last version that the client knows; none: it wants the current state first.
    pub(crate) after: Option<u32>,
    pub(crate) shape: Shape,
}

impl Plan {
    /// Compiles an operation that has passed validation.
    ///
    /// # Errors
    /// [`ErrorCode::BadUserInput`] where the arguments cannot be meant, or the operation is not one subscription.
    pub(crate) fn compile(
        document: &ExecutableDocument,
        operation: &OperationDefinition,
        variables: &Variables,
    ) -> Result<Self, Error> {
        let compiler = Compiler {
            document,
            operation,
            variables,
        };
        let roots = compiler.flatten(&operation.selection_set.node);
        let [root] = roots.as_slice() else {
            return Err(bad_input("A subscription has exactly one root field."));
        };
        if root.name.node != "onOrderUpdated" {
            return Err(bad_input("There is no such subscription.").hint("Subscribe to onOrderUpdated."));
        }
        Ok(Self {
            order: order_id(compiler.argument(root, "id"))?,
            after: after_version(compiler.argument(root, "afterVersion"))?,
            shape: Shape {
                root: root.response_key().node.as_str().into(),
                members: compiler.members(&root.selection_set.node)?,
            },
        })
    }

    /// Goes on after the version that a client names as the last it received (`Last-Event-ID`), if it is later than
    /// what the document says. What is no version says nothing.
    pub(crate) fn resume(&mut self, last: Option<&str>) {
        self.after = self.after.max(last.and_then(|last| last.parse().ok()));
    }
}

/// Resolves what a selection set leaves open: spreads, conditions and variables.
struct Compiler<'a> {
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    variables: &'a Variables,
}

impl<'a> Compiler<'a> {
    fn members(&self, selected: &'a SelectionSet) -> Result<Box<[Member]>, Error> {
        let mut members: Vec<Member> = Vec::new();
        for node in self.flatten(selected) {
            let field = Field::named(&node.name.node)
                .ok_or_else(|| bad_input(format!("OrderUpdated has no field {}.", node.name.node)))?;
            let key = node.response_key().node.as_str();
            // The same key again is the same field, or validation would have refused it.
            if members.iter().all(|known| *known.key != *key) {
                members.push(Member {
                    key: key.into(),
                    field,
                });
            }
        }
        Ok(members.into())
    }

    /// The fields that are selected, in order. Every type here is an object, so each fragment applies.
    fn flatten(&self, selected: &'a SelectionSet) -> Vec<&'a FieldNode> {
        let mut fields = Vec::new();
        let mut open = vec![selected.items.iter()];
        while let Some(items) = open.last_mut() {
            let Some(item) = items.next() else {
                open.pop();
                continue;
            };
            if self.left_out(item.node.directives()) {
                continue;
            }
            match &item.node {
                Selection::Field(field) => fields.push(&field.node),
                Selection::InlineFragment(fragment) => {
                    open.push(fragment.node.selection_set.node.items.iter());
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        open.push(fragment.node.selection_set.node.items.iter());
                    }
                }
            }
        }
        fields
    }

    fn left_out(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().any(|directive| {
            let wanted = match directive.node.name.node.as_str() {
                "skip" => false,
                "include" => true,
                _ => return false,
            };
            let condition = directive.node.get_argument("if").cloned();
            let condition =
                condition.and_then(|value| value.node.into_const_with(|name| self.variable(&name)).ok());
            condition.is_some_and(|given| given != Value::Boolean(wanted))
        })
    }

    /// The argument with variables put in; none where it, or its variable, was neither given nor has a default.
    fn argument(&self, field: &FieldNode, name: &str) -> Option<Value> {
        field
            .get_argument(name)?
            .node
            .clone()
            .into_const_with(|name| self.variable(&name))
            .ok()
    }

    fn variable(&self, name: &Name) -> Result<Value, NotGiven> {
        let definitions = &self.operation.variable_definitions;
        let definition = definitions
            .iter()
            .find(|definition| definition.node.name.node == *name);
        let default = || definition?.node.default_value();
        self.variables.get(name).or_else(default).cloned().ok_or(NotGiven)
    }
}

struct NotGiven;

fn order_id(value: Option<Value>) -> Result<OrderId, Error> {
    let id = match value {
        Some(Value::String(text)) => text,
        other => other.unwrap_or_default().to_string(),
    };
    Ok(OrderId::parse(&id)?)
}

fn after_version(value: Option<Value>) -> Result<Option<u32>, Error> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => version(&number).map(Some),
        Some(_) => Err(bad_version()),
    }
}

fn version(number: &Number) -> Result<u32, Error> {
    let number = number.as_i64().and_then(|number| i32::try_from(number).ok());
    number
        .and_then(|number| u32::try_from(number).ok())
        .ok_or_else(bad_version)
}

fn bad_version() -> Error {
    bad_input("A version is never negative.")
        .hint("Send the last version you have seen, 0 for the whole history, or nothing.")
        .field("afterVersion")
}

fn bad_input(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorCode::BadUserInput, message)
}
