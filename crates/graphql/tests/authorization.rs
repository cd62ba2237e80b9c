//! Who may do what, for every field of the schema: one without a rule fails here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{collections::BTreeMap, sync::Arc};

use async_graphql::Request;
use async_trait::async_trait;
use futures::{StreamExt, executor::block_on, stream, stream::BoxStream};
use serde_json::Value;
use tiffin_graphql::{
    Action, Caller, Created, Cursor, Error, ErrorCode, Listed, Listing, NewOrder, OrderPort, OrderView,
    Ports, Principal, Role, TiffinSchema, Update, UpdatePort, authorize,
};
use tiffin_order::{Details, OrderId, Owner, Products, Status, Version};
use time::macros::datetime;
use uuid::Uuid;

/// How a field is guarded.
enum Rule {
    /// By this action, asked for with this document; `$id` is the order.
    Root(Action, &'static str),
    /// It is a part of what some root field has handed out.
    Part,
}

fn rules() -> BTreeMap<&'static str, Rule> {
    use Rule::{Part, Root};
    BTreeMap::from([
        (
            "Query.order",
            Root(Action::Read, "query($id: ID!) { order(id: $id) { id } }"),
        ),
        ("Query.orders", Root(Action::List, "{ orders { nodes { id } } }")),
        (
            "Mutation.createOrder",
            Root(
                Action::Create,
                "mutation { createOrder(input: {products: [{name: \"Dal\", quantity: 1}]}) { id } }",
            ),
        ),
        (
            "Mutation.cancelOrder",
            Root(
                Action::Cancel,
                "mutation($id: ID!) { cancelOrder(input: {id: $id}) { id } }",
            ),
        ),
        (
            "Subscription.onOrderUpdated",
            Root(
                Action::Watch,
                "subscription($id: ID!) { onOrderUpdated(id: $id) { id } }",
            ),
        ),
        ("Order.createdAt", Part),
        ("Order.id", Part),
        ("Order.products", Part),
        ("Order.reason", Part),
        ("Order.status", Part),
        ("Order.timeline", Part),
        ("Order.updatedAt", Part),
        ("Order.version", Part),
        ("OrderChange.actor", Part),
        ("OrderChange.at", Part),
        ("OrderChange.note", Part),
        ("OrderChange.reason", Part),
        ("OrderChange.status", Part),
        ("OrderChange.version", Part),
        ("OrderConnection.edges", Part),
        ("OrderConnection.nodes", Part),
        ("OrderConnection.pageInfo", Part),
        ("OrderEdge.cursor", Part),
        ("OrderEdge.node", Part),
        ("OrderUpdated.id", Part),
        ("OrderUpdated.reason", Part),
        ("OrderUpdated.status", Part),
        ("OrderUpdated.updatedAt", Part),
        ("OrderUpdated.version", Part),
        ("PageInfo.endCursor", Part),
        ("PageInfo.hasNextPage", Part),
        ("PageInfo.hasPreviousPage", Part),
        ("PageInfo.startCursor", Part),
        ("Product.name", Part),
        ("Product.quantity", Part),
    ])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Own,
    Others,
    Nobodys,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Hidden,
    Refused(ErrorCode),
}

/// The matrix, written out by role.
fn expected(role: Role, action: Action, whose: Whose) -> Outcome {
    let reaches = match (role, action) {
        (Role::Service, _)
        | (Role::Kitchen | Role::Courier, Action::Create | Action::Cancel)
        | (Role::Customer, Action::List) => return Outcome::Refused(ErrorCode::Forbidden),
        (_, Action::Create | Action::List) => return Outcome::Done,
        (Role::Customer, _) => whose == Whose::Own,
        (Role::Kitchen | Role::Courier | Role::Operator, _) => whose != Whose::Nobodys,
    };
    match action {
        _ if reaches => Outcome::Done,
        Action::Read => Outcome::Hidden,
        _ => Outcome::Refused(ErrorCode::NotFound),
    }
}

#[test]
fn every_field_of_the_schema_has_a_rule_and_every_rule_a_field() {
    let response = block_on(schema().execute("{ __schema { types { name kind fields { name } } } }"));
    let data = response.data.into_json().unwrap();
    let types = data["__schema"]["types"].as_array().unwrap();
    let mut fields = Vec::new();
    for ty in types.iter().filter(|ty| ty["kind"] == "OBJECT") {
        let name = ty["name"].as_str().unwrap();
        let members = ty["fields"].as_array().unwrap().iter();
        fields.extend(members.map(|field| format!("{name}.{}", field["name"].as_str().unwrap())));
    }
    fields.retain(|field| !field.starts_with("__"));
    fields.sort();
    let ruled: Vec<&str> = rules().into_keys().collect();
    assert_eq!(fields, ruled);
}

#[test]
fn every_role_reaches_what_the_matrix_says_and_nothing_else() {
    for (field, rule) in rules() {
        let Rule::Root(action, document) = rule else {
            continue;
        };
        for role in Role::ALL {
            for whose in [Whose::Own, Whose::Others, Whose::Nobodys] {
                let outcome = ask(document, Some(caller(role)), whose);
                assert_eq!(
                    outcome,
                    expected(role, action, whose),
                    "{field} by {role} of {whose:?}"
                );
            }
        }
    }
}

#[test]
fn without_a_credential_nothing_is_answered() {
    for (field, rule) in rules() {
        let Rule::Root(_, document) = rule else { continue };
        let outcome = ask(document, None, Whose::Own);
        assert_eq!(outcome, Outcome::Refused(ErrorCode::Unauthenticated), "{field}");
    }
}

#[test]
fn an_id_that_is_none_is_refused_before_any_order_is_looked_for() {
    for (field, rule) in rules() {
        let Rule::Root(action, document) = rule else {
            continue;
        };
        if matches!(action, Action::Create | Action::List) {
            continue;
        }
        let request = Request::new(document)
            .variables(variables("order-1"))
            .data(caller(Role::Operator));
        assert_eq!(run(request), Outcome::Refused(ErrorCode::BadUserInput), "{field}");
    }
}

fn ask(document: &str, caller: Option<Caller>, whose: Whose) -> Outcome {
    let mut request = Request::new(document).variables(variables(&id(whose).to_string()));
    if let Some(caller) = caller {
        request = request.data(caller);
    }
    run(request)
}

fn variables(id: &str) -> async_graphql::Variables {
    async_graphql::Variables::from_json(serde_json::json!({ "id": id }))
}

fn run(request: Request) -> Outcome {
    let response = block_on(schema().execute_stream(request).next()).unwrap();
    if let Some(error) = response.errors.first() {
        let extensions = serde_json::to_value(error.extensions.as_ref().unwrap()).unwrap();
        return Outcome::Refused(extensions["code"].as_str().unwrap().parse().unwrap());
    }
    let data = response.data.into_json().unwrap();
    let answer = data.as_object().unwrap().values().next().unwrap();
    if *answer == Value::Null {
        Outcome::Hidden
    } else {
        Outcome::Done
    }
}

fn schema() -> TiffinSchema {
    let orders = Arc::new(TwoOrders);
    tiffin_graphql::schema(Ports {
        orders: Some(orders.clone()),
        updates: Some(orders),
    })
}

fn caller(role: Role) -> Caller {
    Caller {
        principal: Principal {
            owner: Owner::parse("own").unwrap(),
            role,
        },
        trace: None,
    }
}

fn id(whose: Whose) -> OrderId {
    OrderId::new(Uuid::from_u128(match whose {
        Whose::Own => 1,
        Whose::Others => 2,
        Whose::Nobodys => 3,
    }))
}

fn view(whose: Whose) -> OrderView {
    let at = datetime!(2024-03-01 18:30 UTC);
    let details = Details {
        owner: Owner::parse(if whose == Whose::Own { "own" } else { "others" }).unwrap(),
        products: Products::parse([("Dal", 1)]).unwrap(),
        status: Status::Pending,
        version: Version::FIRST,
        reason: None,
        created_at: at,
        updated_at: at,
    };
    OrderView {
        id: id(whose),
        details,
        timeline: Vec::new(),
    }
}

/// One order of ours and one of somebody else's.
struct TwoOrders;

#[async_trait]
impl OrderPort for TwoOrders {
    async fn create(&self, _: &Caller, _: NewOrder) -> Result<Created, Error> {
        Ok(Created {
            order: view(Whose::Own),
            replayed: false,
        })
    }

    async fn cancel(&self, _: &Caller, asked: OrderId, _: Option<String>) -> Result<OrderView, Error> {
        self.order(asked).await?.ok_or(ErrorCode::NotFound.into())
    }

    async fn order(&self, asked: OrderId) -> Result<Option<OrderView>, Error> {
        let known = [Whose::Own, Whose::Others].into_iter();
        Ok(known.map(view).find(|order| order.id == asked))
    }

    async fn list(&self, _: &Listing) -> Result<Listed, Error> {
        Ok(Listed {
            orders: vec![(Cursor(1), view(Whose::Others))],
            ends: Some((Cursor(1), Cursor(1))),
            has_next: false,
            has_previous: false,
        })
    }
}

#[async_trait]
impl UpdatePort for TwoOrders {
    async fn subscribe(
        &self,
        caller: &Caller,
        asked: OrderId,
        _: Option<u32>,
    ) -> Result<BoxStream<'static, Update>, Error> {
        let order = self.order(asked).await?.ok_or(ErrorCode::NotFound)?;
        authorize(&caller.principal, Action::Watch, Some(&order.details.owner))?;
        let Details {
            status,
            updated_at,
            reason,
            version,
            ..
        } = order.details;
        let update = Update {
            id: asked,
            status,
            updated_at,
            version: Some(version),
            reason,
        };
        Ok(stream::iter([update]).boxed())
    }
}
