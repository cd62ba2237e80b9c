//! The schema's text is checked in, describes everything, and leaves the system that it re-creates unchanged.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use serde_json::Value;

/// What clients of the original know, line by line.
const SEED: &[&str] = &[
    "  createOrder(\n",
    "    input: CreateOrderInput!\n  ): Order\n",
    "  onOrderUpdated(\n",
    "    id: ID!\n  ): OrderUpdated\n",
    "  products: [Product]!\n",
    "  products: [ProductInput!]!\n",
    "  createdAt: AWSDateTime!\n",
    "  updatedAt: AWSDateTime!\n",
    "  status: OrderStatus!\n",
    "  id: ID!\n",
    "  name: String!\n",
    "  quantity: Int!\n",
    "scalar AWSDateTime",
];

const STATUSES: [&str; 6] = [
    "PENDING",
    "PAID",
    "PREPARING",
    "OUT_FOR_DELIVERY",
    "DELIVERED",
    "CANCELLED",
];

#[test]
fn the_schema_in_the_repository_is_the_one_that_is_served() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema.graphql");
    let served = tiffin_graphql::sdl();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, &served).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap();
    assert_eq!(
        stored, served,
        "schema.graphql is out of date: UPDATE_SCHEMA=1 cargo test -p tiffin-graphql --test schema"
    );
}

#[test]
fn the_names_types_and_scalars_of_the_original_are_unchanged() {
    let sdl = tiffin_graphql::sdl();
    for line in SEED {
        assert!(sdl.contains(line), "{line:?} is missing from\n{sdl}");
    }
}

#[test]
fn the_statuses_stand_in_the_order_of_an_orders_way() {
    let schema = introspect("{ __type(name: \"OrderStatus\") { enumValues { name } } }");
    let values = schema["__type"]["enumValues"].as_array().unwrap();
    let names: Vec<&str> = values
        .iter()
        .map(|value| value["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, STATUSES);
}

#[test]
fn everything_in_the_schema_has_a_description() {
    let schema = introspect(
        "{ __schema { types { name description enumValues { name description } inputFields { name description }
           fields { name description args { name description } } } } }",
    );
    let types = schema["__schema"]["types"].as_array().unwrap().iter();
    for ty in types.filter(|ty| is_ours(ty["name"].as_str().unwrap())) {
        assert_described(ty, "");
    }
}

/// Whether the type is neither one of the language's scalars nor a part of introspection.
fn is_ours(name: &str) -> bool {
    !name.starts_with("__") && !["Boolean", "Float", "ID", "Int", "String"].contains(&name)
}

fn assert_described(item: &Value, parent: &str) {
    let name = format!("{parent}{}", item["name"].as_str().unwrap());
    let description = item["description"].as_str().unwrap_or_default();
    assert!(!description.trim().is_empty(), "{name} has no description");
    for members in ["fields", "inputFields", "enumValues", "args"] {
        for member in item[members].as_array().into_iter().flatten() {
            assert_described(member, &format!("{name}."));
        }
    }
}

fn introspect(query: &str) -> Value {
    let schema = tiffin_graphql::schema(tiffin_graphql::Ports::default());
    let response = futures::executor::block_on(schema.execute(query));
    assert!(response.errors.is_empty(), "{:?}", response.errors);
    response.data.into_json().unwrap()
}
