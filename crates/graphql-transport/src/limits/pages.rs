//! Weighs an operation by the fields of its answer, as far as the request says how many there may be: what is selected
//! below a page counts for each of its items.

use std::collections::HashMap;

use async_graphql::{
    Name, Value, Variables,
    parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet},
    registry::{MetaField, MetaType, Registry},
};

use super::{Limits, within};
use crate::{
    documents::{root, substitute},
    error::Refusal,
};

/// The items of a page of which a request does not say how many it wants.
const UNSAID: usize = 20;

/// Whether a field is a page, as Relay has them.
pub(crate) fn is_page(field: &MetaField) -> bool {
    field.args.contains_key("first")
}

/// Refuses an operation whose answer may have more fields than allowed. The document is within the other limits.
pub(crate) fn weigh(
    registry: &Registry,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
    variables: &Variables,
    limits: &Limits,
) -> Result<(), Refusal> {
    let mut weighing = Weighing {
        registry,
        document,
        variables,
        done: HashMap::new(),
    };
    let weight = weighing.selection_set(root(registry, operation.ty), &operation.selection_set.node);
    within(
        "fields, those below a page counted for each of its items",
        weight,
        limits.fields,
    )
}

struct Weighing<'a> {
    registry: &'a Registry,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    /// Fragments, each weighed once.
    done: HashMap<&'a Name, usize>,
}

impl<'a> Weighing<'a> {
    fn selection_set(&mut self, parent: Option<&'a MetaType>, set: &'a SelectionSet) -> usize {
        let items = set.items.iter();
        items.fold(0_usize, |total, item| {
            total.saturating_add(match &item.node {
                Selection::Field(field) => self.field(parent, &field.node),
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    let ty = condition.map_or(parent, |condition| self.named(&condition.node.on.node));
                    self.selection_set(ty, &fragment.node.selection_set.node)
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            })
        })
    }

    fn field(&mut self, parent: Option<&'a MetaType>, field: &'a Field) -> usize {
        let known = parent.and_then(|parent| parent.field_by_name(&field.name.node));
        let ty = known.and_then(|known| self.registry.concrete_type_by_name(&known.ty));
        let below = self.selection_set(ty, &field.selection_set.node);
        let items = if known.is_some_and(is_page) {
            self.items(field)
        } else {
            1
        };
        below.saturating_mul(items).saturating_add(1)
    }

    fn fragment(&mut self, name: &'a Name) -> usize {
        if let Some(weight) = self.done.get(name) {
            return *weight;
        }
        let Some(fragment) = self.document.fragments.get(name) else {
            return 0;
        };
        let ty = self.named(&fragment.node.type_condition.node.on.node);
        let weight = self.selection_set(ty, &fragment.node.selection_set.node);
        self.done.insert(name, weight);
        weight
    }

    /// How many items a page may have; what is no number is refused when it is resolved.
    fn items(&self, field: &Field) -> usize {
        let said = ["first", "last"].into_iter().filter_map(|argument| {
            match substitute(&field.get_argument(argument)?.node, self.variables) {
                Value::Number(number) => usize::try_from(number.as_u64()?).ok(),
                _ => None,
            }
        });
        said.max().unwrap_or(UNSAID)
    }

    fn named(&self, name: &str) -> Option<&'a MetaType> {
        self.registry.types.get(name)
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{EmptyMutation, EmptySubscription, Object, Schema};
    use serde_json::{Value, json};

    use crate::{engine::Engine, limits::Limits, request::GraphqlRequest, settings::Settings};

    struct Query;

    #[Object]
    #[expect(unused_variables, reason = "nothing is executed")]
    impl Query {
        async fn things(&self, first: Option<i32>, last: Option<i32>) -> Vec<Thing> {
            Vec::new()
        }
    }

    struct Thing;

    #[Object]
    #[expect(unused_variables, reason = "nothing is executed")]
    impl Thing {
        async fn name(&self) -> &str {
            "thing"
        }

        async fn parts(&self, first: Option<i32>) -> Vec<Thing> {
            Vec::new()
        }
    }

    async fn passes(document: &str, variables: &Value, fields: usize) -> bool {
        let limits = Limits {
            fields,
            ..Limits::default()
        };
        let settings = Settings {
            limits,
            ..Settings::default()
        };
        let engine = Engine::new(Schema::build(Query, EmptyMutation, EmptySubscription), settings);
        let request = json!({ "query": document, "variables": variables });
        let request: GraphqlRequest = serde_json::from_value(request).unwrap();
        engine.prepare(request).await.is_ok()
    }

    #[tokio::test]
    async fn what_is_below_a_page_counts_as_often_as_the_page_may_have_items() {
        let variable = "query($n: Int) { things(last: $n) { name } }";
        let cases = [
            ("{ things(first: 100) { name } }", json!({}), 101),
            ("{ things(first: 2, last: 3) { name } }", json!({}), 4),
            ("{ things { name } }", json!({}), 21),
            ("{ things(first: -1) { name } }", json!({}), 21),
            (variable, json!({ "n": 7 }), 8),
            (variable, json!({ "n": null }), 21),
            (variable, json!({}), 21),
            ("query($n: Int = 5) { things(first: $n) { name } }", json!({}), 6),
            (
                "{ a: things(first: 2) { name } b: things(first: 3) { name } }",
                json!({}),
                7,
            ),
            (
                "{ things(first: 2) { ... { name } ...F } } fragment F on Thing { name }",
                json!({}),
                5,
            ),
            (
                "{ ...Q ...Q } fragment Q on Query { things(first: 7) { name parts(first: 2) { name } } }",
                json!({}),
                2 * (1 + 7 * (1 + 1 + 2)),
            ),
        ];
        for (document, variables, weight) in cases {
            assert!(
                passes(document, &variables, weight).await,
                "{document} {variables}"
            );
            assert!(
                !passes(document, &variables, weight - 1).await,
                "{document} {variables}"
            );
        }
    }
}
