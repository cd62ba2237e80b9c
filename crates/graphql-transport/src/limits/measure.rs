//! Measures a parsed document with its fragments expanded, without ever expanding them.

use std::collections::HashMap;

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{ExecutableDocument, FragmentDefinition, OperationType, Selection, SelectionSet},
};

use super::{Limits, within};
use crate::error::Refusal;

const INTROSPECTIONS: &str = "questions about the schema";
const NESTING: &str = "levels of fields and fragments";

/// What a selection set amounts to once every spread in it is expanded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Expanded {
    /// Fields, spreads and inline fragments, at every level.
    selections: usize,
    /// Fields at the top level.
    roots: usize,
    /// Fields within one another.
    depth: usize,
    /// Selection sets within one another.
    nesting: usize,
    /// Questions about the schema.
    introspections: usize,
    /// Fields called `types`, which are questions about the schema if they stand in one.
    types: usize,
}

impl Expanded {
    /// Takes in a selection that stands beside those taken in before.
    fn beside(&mut self, other: Self) {
        self.selections = self.selections.saturating_add(other.selections);
        self.roots = self.roots.saturating_add(other.roots);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
        self.introspections = self.introspections.saturating_add(other.introspections);
        self.types = self.types.saturating_add(other.types);
    }

    /// What a field amounts to whose selection set amounts to `self`.
    fn of_field(self, name: &str) -> Self {
        let (introspections, types) = match name {
            "__schema" => (self.types.saturating_add(1), 0),
            "__type" => (1, 0),
            "types" => (0, self.types.saturating_add(1)),
            _ => (0, self.types),
        };
        Self {
            roots: 1,
            depth: self.depth + 1,
            introspections: self.introspections.saturating_add(introspections),
            types,
            ..self
        }
    }
}

/// Refuses a document that is over a limit or whose fragments spread one another in a circle.
///
/// Each fragment is measured once, whether it is used or not, and its total added at every spread, so the work is
/// linear in the document's length whatever it expands to.
pub(crate) fn measure(document: &ExecutableDocument, limits: &Limits) -> Result<(), Refusal> {
    let operations = document.operations.iter();
    within("operations", operations.len(), limits.operations)?;
    let mut measuring = Measuring {
        document,
        limits,
        done: HashMap::new(),
        aliases: 0,
        directives: 0,
    };
    let mut total = Expanded::default();
    // The parser keeps definitions in hash maps: in the order of the text, the same document gets the same refusal.
    for (_, operation) in in_order(operations, |(_, operation)| operation.pos) {
        let node = &operation.node;
        within("variables", node.variable_definitions.len(), limits.variables)?;
        measuring.directives += node.directives.len();
        measuring.directives += node
            .variable_definitions
            .iter()
            .map(|variable| variable.node.directives.len())
            .sum::<usize>();
        let expanded = measuring.selection_set(&node.selection_set.node, 0)?;
        root_fields(node.ty, expanded.roots, operation.pos, limits)?;
        within(INTROSPECTIONS, expanded.introspections, limits.introspections)?;
        total.beside(expanded);
    }
    for (name, fragment) in in_order(document.fragments.iter(), |(_, fragment)| fragment.pos) {
        measuring.directives += fragment.node.directives.len();
        let expanded = measuring.fragment(name, fragment, 0)?;
        within("selections", expanded.selections, limits.selections)?;
        within("levels of fields", expanded.depth, limits.depth)?;
    }
    within("selections", total.selections, limits.selections)?;
    within("levels of fields", total.depth, limits.depth)?;
    within("aliases", measuring.aliases, limits.aliases)?;
    within("directives", measuring.directives, limits.directives)
}

fn in_order<T>(definitions: impl Iterator<Item = T>, position: impl Fn(&T) -> Pos) -> Vec<T> {
    let mut definitions: Vec<T> = definitions.collect();
    definitions.sort_by_key(|definition| {
        let at = position(definition);
        (at.line, at.column)
    });
    definitions
}

fn root_fields(ty: OperationType, roots: usize, at: Pos, limits: &Limits) -> Result<(), Refusal> {
    let (what, allowed) = match ty {
        OperationType::Query => ("root fields", limits.root_fields),
        OperationType::Mutation => ("root fields in a mutation", 1),
        OperationType::Subscription => ("root fields in a subscription", 1),
    };
    within(what, roots, allowed.min(limits.root_fields)).map_err(|refusal| refusal.at(at))
}

struct Measuring<'a> {
    document: &'a ExecutableDocument,
    limits: &'a Limits,
    /// None while the fragment is being measured.
    done: HashMap<&'a Name, Option<Expanded>>,
    aliases: usize,
    directives: usize,
}

impl<'a> Measuring<'a> {
    /// `above`: how many selection sets this one stands in; it bounds the recursion.
    fn selection_set(&mut self, set: &'a SelectionSet, above: usize) -> Result<Expanded, Refusal> {
        if set.items.is_empty() {
            return Ok(Expanded::default());
        }
        within(NESTING, above + 1, self.limits.nesting)?;
        let mut total = Expanded::default();
        for item in &set.items {
            self.directives += item.node.directives().len();
            let mut expanded = match &item.node {
                Selection::Field(field) => {
                    self.aliases += usize::from(field.node.alias.is_some());
                    let inner = self.selection_set(&field.node.selection_set.node, above + 1)?;
                    inner.of_field(&field.node.name.node)
                }
                Selection::InlineFragment(fragment) => {
                    self.selection_set(&fragment.node.selection_set.node, above + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    match self
                        .document
                        .fragments
                        .get_key_value(&spread.node.fragment_name.node)
                    {
                        Some((name, fragment)) => self.fragment(name, fragment, above + 1)?,
                        // The engine's validation names it.
                        None => Expanded::default(),
                    }
                }
            };
            expanded.selections = expanded.selections.saturating_add(1);
            total.beside(expanded);
        }
        total.nesting += 1;
        Ok(total)
    }

    fn fragment(
        &mut self,
        name: &'a Name,
        fragment: &'a Positioned<FragmentDefinition>,
        above: usize,
    ) -> Result<Expanded, Refusal> {
        match self.done.get(name) {
            Some(Some(known)) => {
                within(NESTING, above + known.nesting, self.limits.nesting)?;
                Ok(*known)
            }
            Some(None) => {
                let message = format!("The fragment \"{name}\" spreads itself, directly or through others.");
                let hint = "Select the fields that are wanted level by level.";
                Err(Refusal::bad_input(message).hint(hint).at(fragment.pos))
            }
            None => {
                self.done.insert(name, None);
                let expanded = self.selection_set(&fragment.node.selection_set.node, above)?;
                self.done.insert(name, Some(expanded));
                Ok(expanded)
            }
        }
    }
}
