//! Whatever a subscription selects, it is rendered as async-graphql would have answered it.

use std::{collections::BTreeSet, fmt::Write, sync::Arc};

use async_graphql::{Request, Variables, parser::parse_query};
use async_trait::async_trait;
use futures::{StreamExt, executor::block_on, stream, stream::BoxStream};
use proptest::prelude::*;
use tiffin_graphql::{Caller, Error, ErrorCode, Ports, Principal, Role, TiffinSchema, UpdatePort, schema};
use tiffin_order::{OrderId, Owner, Reason, Status, Version};

use super::{ORDER, change};
use crate::{
    plan::Plan,
    update::{Change, Update},
};

const FIELDS: [&str; 6] = ["__typename", "id", "status", "updatedAt", "version", "reason"];
const CONDITIONS: [&str; 7] = [
    "",
    " @include(if: $x)",
    " @skip(if: $x)",
    " @include(if: $y)",
    " @include(if: true)",
    " @skip(if: true)",
    " @skip(if: $y) @include(if: $x)",
];
const FRAGMENTS: usize = 3;

/// One selection. A spread names a fragment further on, so that there are no cycles.
#[derive(Clone, Debug)]
enum Node {
    Field {
        field: usize,
        alias: usize,
        condition: usize,
    },
    Inline {
        typed: bool,
        condition: usize,
        within: Vec<Node>,
    },
    Spread {
        fragment: usize,
        condition: usize,
    },
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let field = (0..FIELDS.len(), 0..3_usize, 0..CONDITIONS.len()).prop_map(|(field, alias, condition)| {
        Node::Field {
            field,
            alias,
            condition,
        }
    });
    let spread = (0..FRAGMENTS, 0..CONDITIONS.len())
        .prop_map(|(fragment, condition)| Node::Spread { fragment, condition });
    let leaf = prop_oneof![4 => field, 1 => spread];
    let node = leaf.prop_recursive(3, 24, 4, |inner| {
        (
            any::<bool>(),
            0..CONDITIONS.len(),
            prop::collection::vec(inner, 1..4),
        )
            .prop_map(|(typed, condition, within)| Node::Inline {
                typed,
                condition,
                within,
            })
    });
    prop::collection::vec(node, 1..6)
}

/// Writes a selection set; the fragments it may spread are those from `from` on, and it notes which it did.
fn write(out: &mut String, nodes: &[Node], from: usize, spread: &mut BTreeSet<usize>) {
    out.push('{');
    for node in nodes {
        match node {
            Node::Field {
                field,
                alias,
                condition,
            } => {
                let name = FIELDS[*field];
                // One alias stands for one field, as validation demands.
                let alias = if *alias == 0 {
                    String::new()
                } else {
                    format!("a{alias}_{name}: ")
                };
                write!(out, " {alias}{name}{}", CONDITIONS[*condition]).unwrap();
            }
            Node::Inline {
                typed,
                condition,
                within,
            } => {
                let on = if *typed { " on OrderUpdated" } else { "" };
                write!(out, " ...{on}{} ", CONDITIONS[*condition]).unwrap();
                write(out, within, from, spread);
            }
            Node::Spread { fragment, condition } if *fragment >= from => {
                spread.insert(*fragment);
                write!(out, " ...F{fragment}{}", CONDITIONS[*condition]).unwrap();
            }
            Node::Spread { .. } => out.push_str(" status"),
        }
    }
    out.push('}');
}

fn document(root_alias: bool, selected: &[Node], fragments: &[Vec<Node>]) -> String {
    let (mut body, mut spread) = (String::new(), BTreeSet::new());
    write(&mut body, selected, 0, &mut spread);
    let mut definitions = String::new();
    for (nth, fragment) in fragments.iter().enumerate() {
        if spread.contains(&nth) {
            write!(definitions, " fragment F{nth} on OrderUpdated ").unwrap();
            write(&mut definitions, fragment, nth + 1, &mut spread);
        }
    }
    let alias = if root_alias { "update: " } else { "" };
    // The engine refuses variables that it sees no use of, and does not see those in untyped fragments.
    let used = "x: id @skip(if: $x) y: id @include(if: $y) ...";
    format!(
        "subscription Watch($id: ID!, $x: Boolean!, $y: Boolean!) \
         {{ {alias}onOrderUpdated(id: $id) {{ {used} {body} }} }}{definitions}"
    )
}

/// Answers every subscription with one given change.
struct One(Change);

#[async_trait]
impl UpdatePort for One {
    async fn subscribe(
        &self,
        _: &Caller,
        id: OrderId,
        _: Option<u32>,
    ) -> Result<BoxStream<'static, tiffin_graphql::Update>, Error> {
        let update = tiffin_graphql::Update {
            id,
            status: self.0.status,
            updated_at: self.0.at,
            version: Version::new(self.0.version),
            reason: self.0.reason,
        };
        Ok(stream::once(async { update }).boxed())
    }
}

fn engine(change: Change) -> TiffinSchema {
    schema(Ports {
        orders: None,
        updates: Some(Arc::new(One(change))),
    })
}

fn by_the_engine(document: &str, variables: Variables, change: Change) -> String {
    let principal = Principal {
        owner: Owner::parse("web").unwrap(),
        role: Role::Customer,
    };
    let request = Request::new(document).variables(variables).data(Caller {
        principal,
        trace: None,
    });
    let answers: Vec<_> = block_on(engine(change).execute_stream(request).collect());
    assert_eq!(answers.len(), 1, "{document}");
    serde_json::to_string(&answers[0]).unwrap()
}

fn compile(document: &str, variables: &Variables) -> Result<Plan, Error> {
    let document = parse_query(document).unwrap();
    let (_, operation) = document.operations.iter().next().unwrap();
    Plan::compile(&document, &operation.node, variables)
}

fn variables(value: serde_json::Value) -> Variables {
    Variables::from_json(value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn a_rendered_update_is_byte_for_byte_the_engines_answer(
        root_alias: bool, selected in nodes(), fragments in prop::collection::vec(nodes(), FRAGMENTS),
        x: bool, y: bool, version in 1..7_u32, status in prop::sample::select(&Status::ALL[..]),
        reason in prop::option::of(prop::sample::select(&Reason::ALL[..])),
    ) {
        let document = document(root_alias, &selected, &fragments);
        let variables = variables(serde_json::json!({ "id": ORDER.to_string(), "x": x, "y": y }));
        let change = Change { reason, ..change(version, status, 0) };
        let plan = compile(&document, &variables).unwrap();
        let ours = Update::from(change.clone()).payload(&Arc::new(plan.shape));
        prop_assert_eq!(std::str::from_utf8(&ours).unwrap(), by_the_engine(&document, variables, change), "{}", document);
    }
}

#[test]
fn arguments_come_from_literals_variables_and_defaults() {
    let id = ORDER.to_string();
    let after = |document: &str, given: serde_json::Value| {
        let plan = compile(&document.replace("ID", &id), &variables(given)).unwrap();
        assert_eq!(plan.order, ORDER);
        plan.after
    };
    let literal =
        |argument: &str| format!("subscription {{ onOrderUpdated(id: \"ID\"{argument}) {{ id }} }}");
    assert_eq!(after(&literal(""), serde_json::json!({})), None);
    assert_eq!(
        after(&literal(", afterVersion: null"), serde_json::json!({})),
        None
    );
    assert_eq!(
        after(&literal(", afterVersion: 0"), serde_json::json!({})),
        Some(0)
    );
    let defaulted = "subscription($v: Int = 2) { onOrderUpdated(id: \"ID\", afterVersion: $v) { id } }";
    assert_eq!(after(defaulted, serde_json::json!({})), Some(2));
    assert_eq!(after(defaulted, serde_json::json!({ "v": 5 })), Some(5));
    assert_eq!(after(defaulted, serde_json::json!({ "v": null })), None);
}

#[test]
fn a_condition_whose_variable_is_not_given_takes_its_default() {
    let document =
        "subscription($x: Boolean = true) { onOrderUpdated(id: \"ID\") { id @skip(if: $x) status } }";
    let plan = compile(&document.replace("ID", &ORDER.to_string()), &Variables::default()).unwrap();
    assert_eq!(plan.shape.members.len(), 1);
}

#[test]
fn a_fragment_may_hold_the_root_field() {
    let document = format!(
        "subscription {{ ...F }} fragment F on Subscription {{ u: onOrderUpdated(id: \"{ORDER}\") {{ id }} }}"
    );
    assert_eq!(
        &*compile(&document, &Variables::default()).unwrap().shape.root,
        "u"
    );
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for arguments in [
        "id: \"1\"",
        "id: 7",
        "id: $nothing",
        &format!("id: \"{ORDER}\", afterVersion: -1"),
        &format!("id: \"{ORDER}\", afterVersion: 2147483648"),
        &format!("id: \"{ORDER}\", afterVersion: \"1\""),
    ] {
        let document = format!("subscription {{ onOrderUpdated({arguments}) {{ id }} }}");
        let error = compile(&document, &Variables::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadUserInput, "{arguments}");
    }
    let twice = format!(
        "subscription {{ a: onOrderUpdated(id: \"{ORDER}\") {{ id }} b: onOrderUpdated(id: \"{ORDER}\") {{ id }} }}"
    );
    assert_eq!(
        compile(&twice, &Variables::default()).unwrap_err().code(),
        ErrorCode::BadUserInput
    );
}

#[test]
fn a_shape_is_rendered_once_however_many_ask_for_it() {
    let document = format!("subscription {{ onOrderUpdated(id: \"{ORDER}\") {{ id status }} }}");
    let shape = || Arc::new(compile(&document, &Variables::default()).unwrap().shape);
    let update = Update::from(change(1, Status::Pending, 0));
    assert_eq!(
        update.payload(&shape()).as_ptr(),
        update.payload(&shape()).as_ptr()
    );
}
