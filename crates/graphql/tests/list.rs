//! What the list of orders is asked for, and how it is answered.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use async_graphql::Request;
use async_trait::async_trait;
use futures::executor::block_on;
use serde_json::{Value, json};
use tiffin_graphql::{
    Caller, Created, Cursor, Error, Listed, Listing, NewOrder, OrderPort, OrderView, Page, Ports, Principal,
    Role,
};
use tiffin_order::{Details, OrderId, Owner, Products, Status, Version};
use time::macros::datetime;
use uuid::Uuid;

/// Answers every list with orders 9 and 7, and notes what it was asked for.
#[derive(Default)]
struct TwoOrders(Mutex<Vec<Listing>>);

#[async_trait]
impl OrderPort for TwoOrders {
    async fn create(&self, _: &Caller, _: NewOrder) -> Result<Created, Error> {
        panic!("nobody asks for this")
    }

    async fn cancel(&self, _: &Caller, _: OrderId, _: Option<String>) -> Result<OrderView, Error> {
        panic!("nobody asks for this")
    }

    async fn order(&self, _: OrderId) -> Result<Option<OrderView>, Error> {
        panic!("nobody asks for this")
    }

    async fn list(&self, listing: &Listing) -> Result<Listed, Error> {
        self.0.lock().unwrap().push(listing.clone());
        Ok(Listed {
            orders: [9, 7].map(|number| (Cursor(number), view(number))).into(),
            // Orders that could not be read lie at both ends.
            ends: Some((Cursor(10), Cursor(6))),
            has_next: true,
            has_previous: false,
        })
    }
}

fn view(number: u64) -> OrderView {
    let at = datetime!(2024-03-01 18:30 UTC);
    OrderView {
        id: OrderId::new(Uuid::from_u128(number.into())),
        details: Details {
            owner: Owner::parse("web").unwrap(),
            products: Products::parse([("Dal", 1)]).unwrap(),
            status: Status::Pending,
            version: Version::FIRST,
            reason: None,
            created_at: at,
            updated_at: at,
        },
        timeline: Vec::new(),
    }
}

/// The answer as JSON, and what the port was asked for.
fn ask(document: &str) -> (Value, Vec<Listing>) {
    let orders = Arc::new(TwoOrders::default());
    let schema = tiffin_graphql::schema(Ports {
        orders: Some(orders.clone()),
        updates: None,
    });
    let caller = Caller {
        principal: Principal {
            owner: Owner::parse("staff").unwrap(),
            role: Role::Kitchen,
        },
        trace: None,
    };
    let response = block_on(schema.execute(Request::new(document).data(caller)));
    let listings = std::mem::take(&mut *orders.0.lock().unwrap());
    (serde_json::to_value(response).unwrap(), listings)
}

fn listing(document: &str) -> Listing {
    let (answer, mut listings) = ask(document);
    assert_eq!(listings.len(), 1, "{answer}");
    listings.remove(0)
}

#[test]
fn a_page_has_each_order_with_its_cursor_and_says_what_lies_beside_it() {
    let (answer, _) = ask("{ orders { edges { cursor node { version } } nodes { status }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }");
    let (nine, seven) = ("AQAAAAAAAAAJ", "AQAAAAAAAAAH");
    assert_eq!(
        answer["data"]["orders"],
        json!({
            "edges": [{ "cursor": nine, "node": { "version": 1 } }, { "cursor": seven, "node": { "version": 1 } }],
            "nodes": [{ "status": "PENDING" }, { "status": "PENDING" }],
            "pageInfo": {
                "hasNextPage": true, "hasPreviousPage": false, "startCursor": "AQAAAAAAAAAK", "endCursor": "AQAAAAAAAAAG"
            }
        })
    );
}

#[test]
fn what_is_left_out_does_not_restrict_the_list() {
    let everything = Listing {
        statuses: vec![],
        created_from: None,
        created_to: None,
        page: Page {
            limit: 20,
            last: false,
            after: None,
            before: None,
        },
        timelines: false,
    };
    for document in [
        "{ orders { nodes { id } } }",
        "{ orders(filter: null, first: null) { nodes { id } } }",
        "{ orders(filter: {}) { nodes { id } } }",
        "{ orders(filter: { status: null, createdTo: null }) { nodes { id } } }",
    ] {
        assert_eq!(listing(document), everything, "{document}");
    }
}

#[test]
fn a_filter_and_a_place_reach_the_port_as_they_were_sent() {
    let asked = listing(
        "{ orders(filter: { status: [PAID, PENDING, PAID], createdFrom: \"2024-03-01T18:30:00Z\",
            createdTo: \"2024-03-01T18:30:00Z\" }, last: 3, before: \"AQAAAAAAAAAJ\") { nodes { id } } }",
    );
    let at = Some(datetime!(2024-03-01 18:30 UTC));
    assert_eq!((asked.created_from, asked.created_to), (at, at));
    assert_eq!(asked.statuses, [Status::Pending, Status::Paid]);
    let before = Some(Cursor(9));
    assert_eq!(
        asked.page,
        Page {
            limit: 3,
            last: true,
            after: None,
            before
        }
    );
}

#[test]
fn timelines_are_wanted_where_they_are_selected_however_that_is_written() {
    for (selected, document) in [
        (true, "{ orders { nodes { timeline { at } } } }"),
        (true, "{ orders { edges { node { lines: timeline { at } } } } }"),
        (
            true,
            "{ orders { ...C } } fragment C on OrderConnection { nodes { ... on Order { timeline { at } } } }",
        ),
        (false, "{ orders { edges { cursor } } }"),
    ] {
        assert_eq!(listing(document).timelines, selected, "{document}");
    }
}

#[test]
fn nonsense_in_a_filter_is_named_and_asks_for_nothing() {
    for (filter, field) in [
        ("status: []", "filter.status"),
        (
            "createdFrom: \"2024-03-01T18:30:00.001Z\", createdTo: \"2024-03-01T18:30:00Z\"",
            "filter.createdFrom",
        ),
    ] {
        let (answer, listings) = ask(&format!(
            "{{ orders(filter: {{ {filter} }}) {{ nodes {{ id }} }} }}"
        ));
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!(extensions["code"], "BAD_USER_INPUT");
        assert_eq!(extensions["field"], field);
        assert!(extensions["hint"].is_string());
        assert!(listings.is_empty());
    }
}
