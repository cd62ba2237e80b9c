//! No request costs more than 10 ms of CPU before it is refused.
#![cfg(target_os = "linux")]
#![expect(clippy::format_collect, reason = "test documents are short and rarely made")]

use std::time::Duration;

use async_graphql::{EmptyMutation, EmptySubscription, InputObject, Object, Schema};
use tiffin_graphql_transport::{Engine, GraphqlRequest, Settings};

#[derive(InputObject)]
struct Input {
    a: Option<i32>,
    list: Option<Vec<Vec<i32>>>,
}

struct Node;

#[Object]
impl Node {
    async fn node(&self, input: Option<Input>) -> Node {
        let _ = input.map(|input| (input.a, input.list));
        Node
    }
}

/// `levels` fragments, each of which spreads the next one `width` times.
fn spreading(levels: usize, width: usize) -> String {
    let fragment = |level: usize| {
        let spread = format!("...F{} ", level + 1).repeat(width);
        format!("fragment F{level} on Node{{{spread}}}")
    };
    let fragments: String = (0..levels).map(fragment).collect();
    format!("{{...F0}}{fragments}fragment F{levels} on Node{{__typename}}")
}

fn bombs() -> Vec<(&'static str, String)> {
    vec![
        ("doubling fragments", spreading(28, 2)),
        ("five levels of fifty", spreading(5, 50)),
        ("four levels of sixty", spreading(4, 60)),
        (
            "fifty thousand __typename",
            format!("{{{}}}", "__typename ".repeat(50_000)),
        ),
        (
            "fifty thousand operations",
            (0..50_000).map(|i| format!("query A{i}{{__typename}}")).collect(),
        ),
        ("nested braces", "{".repeat(16_000)),
        ("nested selections", "{node".repeat(600) + &"}".repeat(600)),
        (
            "nested lists",
            format!("{{node(input:{{list:{}", "[".repeat(1_900)),
        ),
        ("nested objects", format!("{{node(input:{}", "{a:".repeat(650))),
        ("nested types", format!("query($a:{}", "[".repeat(1_900))),
        ("unknown fields", format!("{{node{{{}}}}}", "nope ".repeat(499))),
        (
            "conflicting fields",
            format!("{{node{{{}}}}}", "node(input:{a:1}){node} ".repeat(150)),
        ),
        ("directives", format!("{{node{}}}", "@skip(if:true) ".repeat(300))),
        (
            "directives on inline fragments",
            format!("{{{}}}", "...@skip(if:true){__typename} ".repeat(150)),
        ),
        (
            "aliases",
            format!(
                "{{{}}}",
                (0..600).map(|i| format!("a{i}:__typename ")).collect::<String>()
            ),
        ),
        ("a long name", format!("{{{}}}", "x".repeat(16_000))),
        (
            "a long string",
            format!("{{node(input:\"{}\")}}", "\\u0000".repeat(2_600)),
        ),
        (
            "wrong values",
            format!(
                "{{node(input:{{list:[{}]}}){{__typename}}}}",
                "[\"x\"] ".repeat(480)
            ),
        ),
        ("comments", "#\n".repeat(8_000)),
        ("quotes", "\"\"\"".repeat(5_000)),
    ]
}

/// The process' user and system time, to 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    // Behind the program's name, which may hold anything.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("a name")
        .split_whitespace()
        .collect();
    let ticks = |index: usize| fields[index].parse::<u64>().expect("a number");
    Duration::from_millis(10 * (ticks(11) + ticks(12)))
}

#[test]
fn the_documents_that_want_to_be_costly_are_refused_within_ten_milliseconds_each() {
    const REPEATS: u32 = 100;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let schema = Schema::build(Node, EmptyMutation, EmptySubscription);
    let engine = Engine::new(schema, Settings::default());
    for (what, query) in bombs() {
        let before = cpu();
        for _ in 0..REPEATS {
            let request = GraphqlRequest {
                query: query.clone(),
                ..GraphqlRequest::default()
            };
            let refused = runtime.block_on(engine.prepare(request));
            assert!(refused.is_err(), "{what} was not refused");
        }
        let each = cpu().saturating_sub(before) / REPEATS;
        println!("{each:>10.1?}  {what}");
        assert!(each <= Duration::from_millis(10), "{what} costs {each:?}");
    }
}
