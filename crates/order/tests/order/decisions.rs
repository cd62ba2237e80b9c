//! What an order does: given a history, when something happens, then this follows.

use std::time::Duration;

use crate::history::{History, cancel, create, park, seed, workflow};
use tiffin_order::{
    Cause, Fact, Input, NewFact, Note, Open, Order, Reason, Refusal, Status, StepName, Transition,
};

fn created() -> History {
    let mut history = History::new(seed());
    history.give(create()).unwrap();
    history
}

fn at(status: Status) -> History {
    let mut history = created();
    while history.order.status() != Some(status) {
        assert!(history.wake_when_due(), "{status} is on the way");
    }
    history
}

fn fact(new: Vec<NewFact>) -> Fact {
    assert_eq!(new.len(), 1);
    new.into_iter().next().unwrap().fact
}

#[test]
fn an_order_of_four_waits_is_six_events_and_five_versions() {
    let mut history = created();
    let mut statuses = vec![(Duration::ZERO, history.order.status().unwrap())];
    let start = history.now;
    history.give(Input::Start).unwrap();
    while history.wake_when_due() {
        statuses.push((
            (history.now - start).unsigned_abs(),
            history.order.status().unwrap(),
        ));
    }
    let expected = [
        (0, Status::Pending),
        (30, Status::Paid),
        (35, Status::Preparing),
        (45, Status::OutForDelivery),
        (60, Status::Delivered),
    ];
    assert_eq!(
        statuses,
        expected.map(|(seconds, status)| (Duration::from_secs(seconds), status))
    );
    assert_eq!(history.facts.len(), 6);
    assert_eq!(
        history
            .versions
            .iter()
            .map(|version| version.get())
            .collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
    assert!(history.order.is_finished());
}

#[test]
fn a_first_step_without_a_wait_is_taken_with_the_start_and_every_later_one_alone() {
    let mut history = History::new(workflow([0; 4]));
    history.give(create()).unwrap();
    let started = fact(history.give(Input::Start).unwrap());
    let next = Some(Open {
        step: StepName::Confirmation,
        attempt: 1,
        wait: Duration::ZERO,
    });
    let cause = Cause::Elapsed(StepName::Payment);
    let transition = Transition {
        status: Some(Status::Paid),
        cause,
        next,
    };
    assert_eq!(
        started,
        Fact::Started {
            workflow: *history.workflow.id(),
            transition
        }
    );
    while history.wake_when_due() {}
    assert_eq!(history.facts.len(), 5);
    assert_eq!(history.order.status(), Some(Status::Delivered));
}

#[test]
fn an_order_that_nobody_starts_starts_itself_after_two_seconds() {
    let mut history = created();
    history.pass(Duration::from_millis(1999));
    assert_eq!(history.give(Input::Wake), Ok(vec![]));
    history.pass(Duration::from_millis(1));
    assert!(matches!(
        fact(history.give(Input::Wake).unwrap()),
        Fact::Started { .. }
    ));
    assert_eq!(
        history.order.version().unwrap().get(),
        1,
        "the start alone is nothing to see"
    );
}

#[test]
fn a_start_or_a_wake_up_that_comes_again_changes_nothing() {
    let mut history = created();
    history.give(Input::Start).unwrap();
    assert_eq!(history.give(Input::Start), Ok(vec![]));
    assert_eq!(history.give(Input::Wake), Ok(vec![]), "nothing is due yet");
    while history.wake_when_due() {}
    for again in [Input::Start, Input::Wake] {
        assert_eq!(history.give(again), Ok(vec![]));
    }
}

#[test]
fn a_late_wake_up_takes_one_step_and_counts_the_next_wait_from_then() {
    let mut history = created();
    history.give(Input::Start).unwrap();
    history.pass(Duration::from_hours(1));
    assert!(matches!(
        fact(history.give(Input::Wake).unwrap()),
        Fact::Advanced(_)
    ));
    assert_eq!(history.order.status(), Some(Status::Paid));
    assert_eq!(
        history.order.wake_at(),
        Some(history.now + Duration::from_secs(5))
    );
}

#[test]
fn an_order_can_be_cancelled_until_the_courier_has_it() {
    for status in [Status::Pending, Status::Paid, Status::Preparing] {
        let mut history = at(status);
        let version = history.order.version().unwrap();
        let new = history.give(cancel()).unwrap();
        assert_eq!(new[0].note.as_ref().map(Note::as_str), Some("changed my mind"));
        assert_eq!(
            fact(new),
            Fact::Cancelled {
                reason: Reason::CancelledByCustomer
            }
        );
        let details = history.order.details().unwrap();
        assert_eq!(
            (details.status, details.version),
            (Status::Cancelled, version.next())
        );
        assert_eq!(details.reason, Some(Reason::CancelledByCustomer));
        assert!(history.order.is_finished());
        assert_eq!(
            history.give(cancel()),
            Ok(vec![]),
            "a second time is answered like the first"
        );
        for late in [Input::Start, Input::Wake] {
            assert_eq!(history.give(late), Ok(vec![]));
        }
    }
    for status in [Status::OutForDelivery, Status::Delivered] {
        assert_eq!(at(status).give(cancel()), Err(Refusal::NotCancellable { status }));
    }
}

#[test]
fn a_parked_order_waits_for_nothing_but_can_still_be_cancelled() {
    let mut history = at(Status::Paid);
    assert!(matches!(
        fact(history.give(park()).unwrap()),
        Fact::Parked { attempts: 5, .. }
    ));
    assert_eq!(history.order.wake_at(), None);
    assert_eq!(
        history.order.status(),
        Some(Status::Paid),
        "the customer sees nothing of it"
    );
    history.pass(Duration::from_hours(1));
    for ignored in [Input::Start, Input::Wake, park()] {
        assert_eq!(history.give(ignored), Ok(vec![]));
    }
    history.give(cancel()).unwrap();
    assert_eq!(history.order.status(), Some(Status::Cancelled));
    assert_eq!(
        history.give(park()),
        Ok(vec![]),
        "what is finished is not set aside"
    );
}

#[test]
fn an_order_that_does_not_exist_can_only_be_created_and_only_once() {
    let mut history = History::new(seed());
    for input in [Input::Start, Input::Wake, cancel(), park()] {
        assert_eq!(history.give(input), Err(Refusal::NotFound));
    }
    history.give(create()).unwrap();
    assert_eq!(history.give(create()), Err(Refusal::Exists));
}

#[test]
fn what_a_newer_version_continued_is_left_alone() {
    let mut history = at(Status::Paid);
    history.order = history.order.met_newer();
    for input in [create(), Input::Start, Input::Wake, cancel(), park()] {
        assert_eq!(history.give(input), Err(Refusal::Newer));
    }
    assert_eq!(
        history.order.status(),
        Some(Status::Paid),
        "what was known can still be shown"
    );
    assert_eq!(history.order.wake_at(), None);
    assert_eq!(Order::Absent.met_newer(), Order::Newer(None));
}

#[test]
fn an_order_is_finished_under_the_workflow_it_was_started_under() {
    let mut history = created();
    history.give(Input::Start).unwrap();
    let needed = *history.workflow.id();
    history.workflow = workflow([1, 2, 3, 4]);
    assert_eq!(
        history.give(Input::Wake),
        Ok(vec![]),
        "not due: no workflow is needed"
    );
    history.pass(Duration::from_secs(30));
    assert_eq!(history.give(Input::Wake), Err(Refusal::OtherWorkflow { needed }));
    history.workflow = seed();
    assert_eq!(history.give(Input::Wake).unwrap().len(), 1);
}
