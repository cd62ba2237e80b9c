//! The limits against documents made for the purpose, and against naive counting.
#![expect(clippy::format_collect, reason = "test documents are short and rarely made")]

use async_graphql::parser::parse_query;
use proptest::prelude::*;

use super::{Limits, measure};
use crate::error::{Code, Refusal};

fn judge(text: &str, limits: &Limits) -> Result<(), Refusal> {
    limits.check_text(text)?;
    measure(
        &parse_query(text).expect("the test's documents are GraphQL"),
        limits,
    )
}

fn refusal(text: &str, limits: &Limits) -> String {
    let refusal = judge(text, limits).expect_err("the document is over a limit");
    assert_eq!(refusal.code, Code::QueryTooCostly);
    refusal.message.into_owned()
}

/// `levels` fragments, each of which spreads the next one `width` times.
fn spreading(levels: usize, width: usize) -> String {
    let fragment = |level: usize| {
        let spread = format!("...F{} ", level + 1).repeat(width);
        format!("fragment F{level} on Q{{{spread}}}")
    };
    let fragments: String = (0..levels).map(fragment).collect();
    format!("{{a{{...F0}}}}{fragments}fragment F{levels} on Q{{__typename}}")
}

#[test]
fn fragments_that_expand_to_billions_are_refused() {
    for (levels, width) in [(28, 2), (8, 10), (5, 50), (4, 60), (29, 2)] {
        let refused = refusal(&spreading(levels, width), &Limits::default());
        assert!(refused.contains("selections"), "{levels} {width}: {refused}");
    }
}

#[test]
fn fragments_that_nobody_spreads_count_too() {
    let text = spreading(20, 2).replacen("{a{...F0}}", "{__typename}", 1);
    assert!(refusal(&text, &Limits::default()).contains("selections"));
}

#[test]
fn fragments_in_a_circle_are_refused_whether_they_are_used_or_not() {
    for text in [
        "{...A} fragment A on Q{...B} fragment B on Q{a ...A}",
        "{a} fragment A on Q{...A}",
    ] {
        let refusal = judge(text, &Limits::default()).expect_err("a circle");
        assert_eq!(refusal.code, Code::BadUserInput);
        assert!(refusal.position.is_some());
    }
}

#[test]
fn a_chain_of_fragments_is_refused_for_its_depth_before_it_is_walked_to_its_end() {
    assert!(refusal(&spreading(120, 1), &Limits::default()).contains("levels of fields and fragments"));
}

/// What a limit is called, a document with so much of it, and the limit.
type Case = (&'static str, Box<dyn Fn(usize) -> String>, usize);

#[test]
fn each_limit_holds_at_its_number_and_not_above() {
    let limits = Limits::default();
    let nested = |depth: usize| format!("{}a{}", "{a".repeat(depth - 1) + "{", "}".repeat(depth));
    let inline = |depth: usize| format!("{}a{}", "{...".repeat(depth - 1) + "{", "}".repeat(depth));
    let cases: [Case; 9] = [
        (
            "bytes",
            Box::new(|n| format!("{{a}}{}", " ".repeat(n - 3))),
            limits.document_bytes,
        ),
        (
            "tokens",
            Box::new(|n| format!("{{a(b:[{}])}}", "1 ".repeat(n - 9))),
            limits.tokens,
        ),
        (
            "selections",
            Box::new(|n| format!("{{a{{{}}}}}", "b ".repeat(n - 1))),
            limits.selections,
        ),
        ("levels of fields:", Box::new(nested), limits.depth),
        ("levels of fields and fragments", Box::new(inline), limits.nesting),
        (
            "aliases",
            Box::new(|n| format!("{{a{{{}}}}}", "b:c ".repeat(n))),
            limits.aliases,
        ),
        (
            "directives",
            Box::new(|n| format!("query @x{{a{}}}", "@b ".repeat(n - 1))),
            limits.directives,
        ),
        (
            "root fields",
            Box::new(|n| format!("{{{}}}", "a ".repeat(n))),
            limits.root_fields,
        ),
        (
            "variables",
            Box::new(|n| format!("query({}){{a}}", "$a:A".repeat(n))),
            limits.variables,
        ),
    ];
    for (what, text, limit) in cases {
        assert_eq!(judge(&text(limit), &limits), Ok(()), "{what}");
        assert!(refusal(&text(limit + 1), &limits).contains(what), "{what}");
    }
}

#[test]
fn questions_about_the_schema_are_few_however_they_are_asked() {
    let limits = Limits::default();
    let types = "types{fields{name type{name fields{name}}}}";
    for text in [
        format!("{{__schema{{{types}}}__type(name:\"A\"){{name}}}}"),
        "{a:__type(name:\"A\"){name}b:__type(name:\"B\"){name}c:__type(name:\"C\"){name}}".to_owned(),
        format!("{{a{{{}}}}}", "types ".repeat(9)),
    ] {
        assert_eq!(judge(&text, &limits), Ok(()), "{text}");
    }
    for text in [
        format!(
            "{{{}}}",
            (0..10)
                .map(|nth| format!("a{nth}:__schema{{{types}}}"))
                .collect::<String>()
        ),
        format!(
            "{{__schema{{{}}}}}",
            (0..3).map(|nth| format!("a{nth}:{types}")).collect::<String>()
        ),
        format!("{{__schema{{...A...A...A}}}}fragment A on __Schema{{...{{{types}}}}}"),
        format!("{{...A...A}}fragment A on Q{{__schema{{{types}}}}}"),
        "{...A...A...A...A}fragment A on Q{__type(name:\"A\"){name}}".to_owned(),
    ] {
        assert!(
            refusal(&text, &limits).contains("questions about the schema"),
            "{text}"
        );
    }
}

#[test]
fn directives_count_wherever_they_stand() {
    let limits = Limits {
        directives: 5,
        ..Limits::default()
    };
    let text = "query($a:A@1x){a@x ...@x{b} ...F@x} fragment F on Q@x{b}".replace("1x", "x");
    assert_eq!(judge(&text, &limits), Ok(()));
    assert!(
        refusal(
            &text,
            &Limits {
                directives: 4,
                ..limits
            }
        )
        .contains("directives")
    );
}

#[test]
fn a_document_has_ten_operations_and_a_mutation_or_subscription_one_root_field() {
    let limits = Limits::default();
    let operations = |n: usize| (0..n).map(|i| format!("query A{i}{{a}}")).collect::<String>();
    assert_eq!(judge(&operations(10), &limits), Ok(()));
    assert!(refusal(&operations(11), &limits).contains("operations"));
    for kind in ["mutation", "subscription"] {
        assert_eq!(judge(&format!("{kind}{{a}}"), &limits), Ok(()));
        assert!(
            refusal(&format!("{kind}{{a ...F}} fragment F on Q{{b}}"), &limits).contains("root fields in a")
        );
    }
}

#[test]
fn the_first_refusal_is_the_same_every_time() {
    let text =
        "query A{...F} query B{...G} fragment F on Q{...F} fragment G on Q{...G} fragment H on Q{...H}";
    let first = judge(text, &Limits::default());
    for _ in 0..50 {
        assert_eq!(judge(text, &Limits::default()), first);
    }
}

#[derive(Clone, Debug)]
enum Written {
    Field(Vec<Written>),
    Inline(Vec<Written>),
    /// Of the fragment so many places further on, so that there is no circle.
    Spread(usize),
}

fn written() -> impl Strategy<Value = Vec<Written>> {
    let leaf = prop_oneof![
        Just(Written::Field(Vec::new())),
        (1..4_usize).prop_map(Written::Spread)
    ];
    let any = leaf.prop_recursive(3, 12, 3, |inner| {
        let set = prop::collection::vec(inner, 1..3);
        prop_oneof![
            set.clone().prop_map(Written::Field),
            set.prop_map(Written::Inline)
        ]
    });
    prop::collection::vec(any, 1..4)
}

fn print(set: &[Written], definition: usize, definitions: usize) -> String {
    let item = |item: &Written| match item {
        Written::Field(inner) if inner.is_empty() => "a ".to_owned(),
        Written::Field(inner) => format!("a{}", print(inner, definition, definitions)),
        Written::Inline(inner) => format!("...{}", print(inner, definition, definitions)),
        Written::Spread(ahead) => match definition + ahead {
            target if target < definitions => format!("...F{target} "),
            _ => "a ".to_owned(),
        },
    };
    format!("{{{}}}", set.iter().map(item).collect::<String>())
}

/// Selections and levels of fields, counted by walking everything.
fn naive(definitions: &[Vec<Written>], set: &[Written], definition: usize) -> (usize, usize) {
    set.iter().fold((0, 0), |(selections, depth), item| {
        let (more, deeper) = match item {
            Written::Field(inner) => {
                let (more, deeper) = naive(definitions, inner, definition);
                (more, deeper + 1)
            }
            Written::Inline(inner) => naive(definitions, inner, definition),
            Written::Spread(ahead) => match definitions.get(definition + ahead) {
                Some(fragment) => naive(definitions, fragment, definition + ahead),
                None => (0, 1),
            },
        };
        (selections + 1 + more, depth.max(deeper))
    })
}

proptest! {
    #[test]
    fn counting_each_fragment_once_gives_what_expanding_it_everywhere_gives(
        definitions in prop::collection::vec(written(), 1..6)
    ) {
        let texts = definitions.iter().enumerate().map(|(index, set)| {
            let head = if index == 0 { String::new() } else { format!("fragment F{index} on Q") };
            head + &print(set, index, definitions.len())
        });
        let text: String = texts.collect();
        let counted = definitions.iter().enumerate().map(|(index, set)| naive(&definitions, set, index));
        let (selections, depth) =
            counted.fold((0, 0), |(selections, depth), (more, deeper)| (selections.max(more), depth.max(deeper)));
        let roomy = Limits { nesting: 1_000, root_fields: usize::MAX, document_bytes: usize::MAX,
            tokens: usize::MAX, selections, depth, ..Limits::default() };
        prop_assert_eq!(judge(&text, &roomy), Ok(()));
        let refused = |limits| judge(&text, &limits).is_err();
        let tight = Limits { selections: selections - 1, ..roomy.clone() };
        prop_assert!(refused(tight));
        let flat = Limits { depth: depth - 1, ..roomy };
        prop_assert!(refused(flat));
    }
}
