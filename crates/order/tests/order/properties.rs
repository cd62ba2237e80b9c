//! What holds for an order whatever comes in, in whatever sequence.

use std::time::Duration;

use crate::history::{History, cancel, create, park, workflow};
use proptest::prelude::*;
use tiffin_order::{Fact, Input, Order, decide, evolve};
use time::OffsetDateTime;

#[derive(Debug, Clone)]
enum Step {
    Give(Input),
    Pass(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Give(create())),
        2 => Just(Step::Give(Input::Start)),
        6 => Just(Step::Give(Input::Wake)),
        1 => Just(Step::Give(cancel())),
        1 => Just(Step::Give(park())),
        4 => (0..5000u32).prop_map(Step::Pass),
    ]
}

fn waits() -> impl Strategy<Value = [u32; 4]> {
    prop::array::uniform4(prop_oneof![Just(0), 1..3000u32])
}

/// Plays the steps after a creation; a refusal changes nothing.
fn play(waits: [u32; 4], steps: &[Step]) -> History {
    let mut history = History::new(workflow(waits));
    history
        .give(create())
        .expect("the first creation is never refused");
    for step in steps {
        match step {
            Step::Give(input) => drop(history.give(input.clone())),
            Step::Pass(ms) => history.pass(Duration::from_millis((*ms).into())),
        }
    }
    history
}

fn replay(facts: &[(Fact, OffsetDateTime)]) -> Order {
    facts
        .iter()
        .fold(Order::Absent, |order, (fact, at)| evolve(order, fact, *at))
}

proptest! {
    #[test]
    fn versions_rise_from_one_without_a_gap(waits in waits(), steps in prop::collection::vec(step(), 0..40)) {
        let history = play(waits, &steps);
        let numbers: Vec<_> = history.versions.iter().map(|version| version.get()).collect();
        let expected: Vec<_> = (1..).take(numbers.len()).collect();
        prop_assert_eq!(numbers, expected);
    }

    #[test]
    fn a_replay_leads_to_the_same_order(waits in waits(), steps in prop::collection::vec(step(), 0..40)) {
        let history = play(waits, &steps);
        prop_assert_eq!(replay(&history.facts), history.order);
    }

    #[test]
    fn an_order_waits_is_parked_or_is_finished_and_only_one_of_them(
        waits in waits(),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let order = play(waits, &steps).order;
        let states =
            [order.wake_at().is_some(), order.is_finished(), matches!(order, Order::Parked(_))];
        prop_assert_eq!(states.iter().filter(|state| **state).count(), 1, "{:?}", order);
        prop_assert_eq!(order.wake_at().is_some(), order.wake_after().is_some());
        let ended = order.status().is_some_and(tiffin_order::Status::is_final);
        prop_assert_eq!(ended, order.is_finished());
    }

    #[test]
    fn the_saga_always_ends(waits in waits(), steps in prop::collection::vec(step(), 0..40)) {
        let mut history = play(waits, &steps);
        let mut wakes = 0;
        while history.wake_when_due() {
            wakes += 1;
            prop_assert!(wakes <= 5, "a start and four steps are the longest way");
        }
        prop_assert!(history.facts.len() <= 7, "created, started, four steps, parked or cancelled");
    }

    #[test]
    fn the_same_input_twice_is_the_same_as_once(
        waits in waits(),
        steps in prop::collection::vec(step(), 0..40),
        input in step().prop_filter_map("an input", |step| match step {
            Step::Give(input) => Some(input),
            Step::Pass(_) => None,
        }),
    ) {
        let mut once = play(waits, &steps);
        let first = once.give(input.clone());
        let mut twice = once.clone();
        // A step whose wait is zero makes the next one due at once: time is an input of its own.
        prop_assume!(input != Input::Wake || twice.order.wake_at().is_none_or(|due| due > twice.now));
        let second = twice.give(input);
        prop_assert_eq!(&twice.order, &once.order);
        prop_assert!(second.is_err() || second == Ok(vec![]), "{:?} then {:?}", first, second);
    }

    #[test]
    fn no_recorded_fact_is_without_effect(waits in waits(), steps in prop::collection::vec(step(), 0..40)) {
        let mut order = Order::Absent;
        for (fact, at) in &play(waits, &steps).facts {
            let after = evolve(order.clone(), fact, *at);
            prop_assert_ne!(&after, &order);
            order = after;
        }
    }

    #[test]
    fn deciding_reads_nothing_but_its_arguments(
        waits in waits(),
        steps in prop::collection::vec(step(), 0..40),
        input in step(),
    ) {
        let History { workflow, order, now, .. } = play(waits, &steps);
        if let Step::Give(input) = input {
            let again = decide(&order, input.clone(), &workflow, now);
            prop_assert_eq!(decide(&order, input, &workflow, now), again);
        }
    }
}
