//! The list of orders, page by page.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use tiffin_api::Config;
use tiffin_order::Status;
use tiffin_testkit::{Postgres, eventually};

use crate::harness::{Api, KITCHEN, NO_NATS, OPERATOR, ORDER, Reply};

const IDS: &str = "nodes { id }";

fn ids(list: &Value) -> Vec<String> {
    let nodes = list["nodes"].as_array().unwrap().iter();
    nodes
        .map(|node| node["id"].as_str().unwrap().to_owned())
        .collect()
}

/// So many orders, the newest first, once the list has them.
async fn orders(api: &Api, count: usize) -> Vec<String> {
    let mut placed = Vec::new();
    for _ in 0..count {
        placed.insert(0, api.some_order().await);
    }
    shows(api, &placed[0]).await;
    placed
}

/// Waits until the list begins with this order.
async fn shows(api: &Api, newest: &str) {
    eventually!(ids(&api.list("(first: 1)", IDS).await), |ids| ids
        .iter()
        .any(|id| id == newest));
}

/// Every page in one direction, one after the other.
async fn leaf_through(api: &Api, size: &str, filter: &str, after_each: impl AsyncFn()) -> Vec<String> {
    let forwards = size.starts_with("first");
    let (place, more, end) = if forwards {
        ("after", "hasNextPage", "endCursor")
    } else {
        ("before", "hasPreviousPage", "startCursor")
    };
    let mut seen: Vec<String> = Vec::new();
    let mut at = "null".to_owned();
    loop {
        let arguments = format!("({size}, {place}: {at}{filter})");
        let selection = format!("{IDS} pageInfo {{ {more} {end} }}");
        let page = api.list(&arguments, &selection).await;
        seen = if forwards {
            seen.into_iter().chain(ids(&page)).collect()
        } else {
            ids(&page).into_iter().chain(seen).collect()
        };
        after_each().await;
        if page["pageInfo"][more] == false {
            return seen;
        }
        at = page["pageInfo"][end].to_string();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_in_the_list_is_the_order_itself() {
    for api in Api::start_on_both().await {
        let ids = orders(&api, 3).await;
        api.carry_on(&ids[1], Status::Delivered).await;
        let mut expected = Vec::new();
        for id in &ids {
            expected.push(api.order(OPERATOR, id).await.json()["data"]["order"].clone());
        }
        let list = eventually!(api.list("", &format!("nodes {ORDER}")).await, |list| {
            list["nodes"][1]["status"] == "DELIVERED"
        });
        assert_eq!(list["nodes"], json!(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leafs_through_sees_each_order_once_while_others_come_and_change() {
    for api in Api::start_on_both().await {
        let placed = orders(&api, 23).await;
        let busy = async || {
            api.carry_on(&placed[5], Status::Delivered).await;
            api.carry_on(&placed[17], Status::Paid).await;
            shows(&api, &api.some_order().await).await;
        };
        assert_eq!(leaf_through(&api, "first: 4", "", busy).await, placed);
        let backwards = leaf_through(&api, "last: 5", "", busy).await;
        let (newer, older) = backwards.split_at(backwards.len() - placed.len());
        assert_eq!(older, placed);
        assert_eq!(newer.iter().collect::<BTreeSet<_>>().len(), newer.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_by_status_merges_the_statuses_by_age() {
    for api in Api::start_on_both().await {
        let placed = orders(&api, 12).await;
        let statuses = [Status::Pending, Status::Paid, Status::Preparing];
        for (id, status) in placed.iter().zip(statuses.into_iter().cycle()).skip(1) {
            api.carry_on(id, status).await;
        }
        let listed = async |filter: &str| {
            leaf_through(
                &api,
                "first: 3",
                &format!(", filter: {{ status: {filter} }}"),
                async || (),
            )
            .await
        };
        let every_third = |skip: &[usize]| -> Vec<String> {
            let kept = placed
                .iter()
                .enumerate()
                .filter(|(n, _)| !skip.contains(&(n % 3)));
            kept.map(|(_, id)| id.clone()).collect()
        };
        eventually!(listed("[PREPARING]").await.len(), |count| *count == 4);
        assert_eq!(listed("[PREPARING]").await, every_third(&[0, 1]));
        assert_eq!(listed("[PREPARING, PENDING]").await, every_third(&[1]));
        assert_eq!(listed("[PENDING, PAID, PREPARING, DELIVERED]").await, placed);
        assert_eq!(listed("[CANCELLED]").await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_by_time_has_what_was_placed_from_then_and_before_then() {
    for api in Api::start_on_both().await {
        let early = orders(&api, 2).await;
        let at = |order: &Reply| order.json()["data"]["order"]["createdAt"].clone();
        let first_at = at(&api.order(OPERATOR, &early[1]).await);
        // Times are shown in milliseconds, and orders kept in microseconds.
        let placed = api.store.now();
        eventually!(api.store.now(), |now| *now > placed + Duration::from_millis(2));
        let late = orders(&api, 2).await;
        let late_at = at(&api.order(OPERATOR, &late[1]).await);
        let listed = async |filter: String| {
            leaf_through(&api, "last: 1", &format!(", filter: {{ {filter} }}"), async || ()).await
        };
        let all: Vec<_> = late.iter().chain(&early).cloned().collect();
        assert_eq!(listed(format!("createdFrom: {first_at}")).await, all);
        assert_eq!(listed(format!("createdFrom: {late_at}")).await, late);
        assert_eq!(listed(format!("createdTo: {late_at}")).await, early);
        assert_eq!(
            listed(format!(
                "createdFrom: {first_at}, createdTo: {late_at}, status: [PENDING]"
            ))
            .await,
            early
        );
        assert_eq!(
            listed(format!("createdFrom: {first_at}, createdTo: {first_at}")).await,
            Vec::<String>::new()
        );
        assert_eq!(
            listed("createdFrom: \"2999-01-01T00:00:00Z\"".to_owned()).await,
            Vec::<String>::new()
        );
        assert_eq!(
            listed("createdTo: \"1999-01-01T00:00:00Z\"".to_owned()).await,
            Vec::<String>::new()
        );
        assert_eq!(
            listed("createdTo: \"2999-01-01T00:00:00Z\"".to_owned()).await,
            all
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_what_lies_on_either_side_of_it() {
    const EDGES: &str =
        "edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";
    for api in Api::start_on_both().await {
        let nothing = json!({
            "edges": [],
            "pageInfo": { "hasNextPage": false, "hasPreviousPage": false, "startCursor": null, "endCursor": null }
        });
        assert_eq!(api.list("", EDGES).await, nothing);
        orders(&api, 5).await;
        let all = api.list("", EDGES).await;
        let cursor = |n: usize| all["edges"][n]["cursor"].clone();
        let sides = async |arguments: String| {
            let page = api.list(&arguments, EDGES).await;
            let (edges, info) = (page["edges"].as_array().unwrap(), &page["pageInfo"]);
            assert_eq!(
                info["startCursor"],
                edges.first().map_or(Value::Null, |edge| edge["cursor"].clone())
            );
            assert_eq!(
                info["endCursor"],
                edges.last().map_or(Value::Null, |edge| edge["cursor"].clone())
            );
            (
                edges.len(),
                info["hasPreviousPage"].clone(),
                info["hasNextPage"].clone(),
            )
        };
        let (first, last, middle) = (cursor(0), cursor(4), cursor(2));
        for (arguments, expected) in [
            ("(first: 5)".to_owned(), (5, false, false)),
            ("(first: 4)".to_owned(), (4, false, true)),
            ("(last: 5)".to_owned(), (5, false, false)),
            ("(last: 1)".to_owned(), (1, true, false)),
            (format!("(first: 1, after: {first})"), (1, true, true)),
            (format!("(first: 9, after: {middle})"), (2, true, false)),
            (format!("(first: 1, after: {last})"), (0, true, false)),
            (format!("(last: 1, before: {last})"), (1, true, true)),
            (format!("(last: 9, before: {middle})"), (2, false, true)),
            (format!("(last: 9, before: {first})"), (0, false, true)),
            (
                format!("(first: 9, after: {first}, before: {last})"),
                (3, true, true),
            ),
            (
                format!("(first: 1, after: {first}, filter: {{ status: [PAID] }})"),
                (0, false, false),
            ),
        ] {
            let (count, previous, next) = expected;
            assert_eq!(
                sides(arguments.clone()).await,
                (count, json!(previous), json!(next)),
                "{arguments}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn any_replica_shows_the_list_and_another_keeps_it_when_one_stops() {
    let database = Postgres::shared().await.database().await;
    let url: tiffin_eventstore::DatabaseUrl = database.url.parse().unwrap();
    let one = Api::start_on(url.clone(), Config::default(), NO_NATS).await;
    let other = Api::start_on(url, Config::default(), NO_NATS).await;
    let first = one.some_order().await;
    shows(&one, &first).await;
    shows(&other, &first).await;
    one.stop().await;
    let second = other.some_order().await;
    shows(&other, &second).await;
    let reply = other
        .graphql(KITCHEN, "{ orders { nodes { id } } }", json!({}))
        .await;
    assert_eq!(ids(&reply.json()["data"]["orders"]), [second, first]);
}
