//! `__typename`, which the engine's rules pass over.

use std::mem;

use async_graphql::{
    Positioned,
    parser::types::{DocumentOperations, ExecutableDocument, InlineFragment, Selection, SelectionSet},
};

/// The document with the directives of each `__typename` at a fragment around it, where the rules see them, and the variables
/// in them. It says the same.
pub(super) fn brought_to_light(mut document: ExecutableDocument) -> ExecutableDocument {
    match &mut document.operations {
        DocumentOperations::Single(operation) => selections(&mut operation.node.selection_set.node),
        DocumentOperations::Multiple(operations) => {
            for operation in operations.values_mut() {
                selections(&mut operation.node.selection_set.node);
            }
        }
    }
    for fragment in document.fragments.values_mut() {
        selections(&mut fragment.node.selection_set.node);
    }
    document
}

fn selections(set: &mut SelectionSet) {
    for item in &mut set.items {
        match &mut item.node {
            Selection::Field(field) if field.node.name.node == "__typename" => {
                let directives = mem::take(&mut field.node.directives);
                if !directives.is_empty() {
                    let fragment = InlineFragment {
                        type_condition: None,
                        directives,
                        selection_set: Positioned::new(
                            SelectionSet {
                                items: vec![item.clone()],
                            },
                            item.pos,
                        ),
                    };
                    item.node = Selection::InlineFragment(Positioned::new(fragment, item.pos));
                }
            }
            Selection::Field(field) => selections(&mut field.node.selection_set.node),
            Selection::InlineFragment(fragment) => selections(&mut fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => {}
        }
    }
}
