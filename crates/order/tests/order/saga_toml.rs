//! What may stand in a `saga.toml`, and how one that makes no sense is answered.

use std::time::Duration;

use crate::history::{seed, workflow};
use tiffin_order::{StepName, Workflow};

/// The default file with one replacement.
fn with(from: &str, to: &str) -> String {
    let text = include_str!("../../../../saga.toml");
    assert!(text.contains(from), "{from} stands in the default file");
    text.replacen(from, to, 1)
}

fn refused(text: &str) -> String {
    Workflow::parse(text).expect_err(text).to_string()
}

fn waits(workflow: &Workflow) -> Vec<Duration> {
    let rest = StepName::ALL.into_iter().filter_map(|name| workflow.after(name));
    std::iter::once(workflow.first())
        .chain(rest)
        .map(|step| step.wait)
        .collect()
}

#[test]
fn the_default_waits_as_long_as_documented() {
    assert_eq!(waits(&seed()), [30, 5, 10, 15].map(Duration::from_secs));
}

#[test]
fn the_identity_is_that_of_the_meaning_and_not_of_the_spelling() {
    let seed = seed();
    assert_eq!(
        seed.id().to_string(),
        "4c177492bfddb75fc88ca3273bbcb8b927afc8241c465ade560e2407dd58dcf6"
    );
    for same in [
        with("\"30s\"", "\"30000ms\""),
        with("# The way", "#\n# The way"),
        seed.text().to_string(),
    ] {
        assert_eq!(Workflow::parse(&same).unwrap(), seed);
    }
    assert_ne!(
        Workflow::parse(&with("\"30s\"", "\"31s\"")).unwrap().id(),
        seed.id()
    );
    assert_eq!(seed.id().stream(), format!("workflow-{}", seed.id()));
}

#[test]
fn a_speed_divides_every_wait_and_leaves_the_identity() {
    let fast = seed().sped_up(10.0);
    assert_eq!(waits(&fast), [3000, 500, 1000, 1500].map(Duration::from_millis));
    assert_eq!(fast.id(), seed().id());
    assert_eq!(
        waits(&workflow([1, 1, 1, 1]).sped_up(3.0)),
        [Duration::from_micros(333); 4]
    );
    for nonsense in [0.0, -1.0, f64::NAN] {
        assert_eq!(seed().sped_up(nonsense), seed());
    }
    assert_eq!(waits(&seed().sped_up(f64::INFINITY)), [Duration::ZERO; 4]);
}

#[test]
fn what_makes_no_sense_is_answered_with_its_line() {
    let cases = [
        (
            with("wait = \"5s\"", "wait = \"-5s\""),
            "line 20: \"-5s\" is no duration",
        ),
        (
            with("wait = \"5s\"", "wait = \"5\""),
            "line 20: \"5\" is no duration",
        ),
        (
            with("wait = \"5s\"", "wait = \"s\""),
            "line 20: \"s\" is no duration",
        ),
        (
            with("wait = \"5s\"", "wait = \"1.5s\""),
            "line 20: \"1.5s\" is no duration",
        ),
        (
            with("wait = \"5s\"", "wait = \"721h\""),
            "line 20: \"721h\" is too long",
        ),
        (
            with("wait = \"5s\"", "wait = \"99999999999999999999h\""),
            "line 20: \"99999999999999999999h\" is too",
        ),
        (
            with("wait = \"5s\"", "wait = 5"),
            "line 20: invalid type: integer `5`, expected a string",
        ),
        (
            with("wait = \"5s\"", "waits = \"5s\""),
            "line 20: unknown field `waits`",
        ),
        (with("wait = \"5s\"\n", ""), "line 17: missing field `wait`"),
        (
            with("kind = \"wait\"", "kind = \"task\""),
            "line 14: there is no kind \"task\"; this version knows \"wait\"",
        ),
        (
            with("\"ready\"", "\"baking\""),
            "line 23: there is no step \"baking\"",
        ),
        (
            with("\"ready\"", "\"payment\""),
            "line 23: here comes step \"payment\", but the next one has to be \"ready\"",
        ),
        (
            with("\"payment\"", "\"delivery\""),
            "line 13: here comes step \"delivery\"",
        ),
        (with("[[step]]", "[[steps]]"), "line 12: unknown field `steps`"),
        (with("[[step]]", "[[step"), "line 12: "),
    ];
    for (text, expected) in cases {
        let answer = refused(&text);
        assert!(
            answer.starts_with(expected),
            "{answer:?} does not begin with {expected:?}"
        );
    }
}

#[test]
fn there_are_four_steps_and_no_more_and_no_fewer() {
    assert_eq!(refused(""), "line 1: step \"payment\" is missing at the end");
    let text = include_str!("../../../../saga.toml");
    let three = text.rsplit_once("[[step]]").unwrap().0;
    assert_eq!(refused(three), "line 25: step \"delivery\" is missing at the end");
    let extra = "\n[[step]]\nname = \"party\"\nkind = \"wait\"\nwait = \"1h\"\n";
    assert_eq!(
        refused(&format!("{text}{extra}")),
        "line 32: nothing may follow the last step, delivery"
    );
}
