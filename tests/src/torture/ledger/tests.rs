//! Each kind of broken promise is reported, by its own line and no other.

use uuid::Uuid;

use super::*;
use crate::torture::{
    history::{Answer, Logged, Placement, Seen},
    schedule::Victim,
};

const DEMANDS: Demands = Demands { open: 2, early: 1 };
const STATUSES: [&str; 3] = ["PENDING", "PAID", "DELIVERED"];

fn second(second: u64) -> Duration {
    Duration::from_secs(second)
}

/// Order `number`: placed at that second, paid two seconds later, delivered.
fn placement(number: u64) -> Placement {
    let seen = STATUSES.iter().zip(1..).map(|(status, version)| Seen {
        version,
        status: (*status).to_owned(),
        at: second(number + u64::from(version)),
    });
    Placement {
        label: format!("dish {number}"),
        sent: Some(second(number)),
        answers: vec![Answer {
            id: Uuid::from_u64_pair(1, number),
            body: "{}".to_owned(),
        }],
        acknowledged: Some(second(number + 1)),
        seen: seen.collect(),
        completed: true,
        connections: 1,
        ..Placement::default()
    }
}

fn logged(number: u64) -> impl Iterator<Item = Logged> {
    STATUSES.iter().zip(1..).map(move |(status, version)| Logged {
        event: Uuid::from_u64_pair(2 + u64::from(version), number),
        order: Uuid::from_u64_pair(1, number),
        revision: u64::from(version) - 1,
        creates: version == 1,
        visible: Some((version, (*status).to_owned())),
        committed: second(1_000_000 + number + u64::from(version)),
        label: Some(format!("dish {number}")),
        published: true,
    })
}

/// Five orders under three faults, of which the second came before the first was recovered from.
fn clean() -> Evidence {
    let log: Vec<Logged> = (0..5).flat_map(logged).collect();
    let ids = |creates: bool| {
        let events = log.iter().filter(move |event| event.creates == creates);
        events.map(|event| event.event).collect::<Vec<Uuid>>()
    };
    let fault = |fault, at| Struck {
        fault,
        at: second(at),
        open: 2,
    };
    Evidence {
        placements: (0..5).map(placement).collect(),
        faults: vec![
            fault(Fault::Wipe, 0),
            fault(Fault::Kill(Victim::Orders), 1),
            fault(Fault::RestartDatabase, 4),
        ],
        created: ids(true),
        updated: ids(false),
        log,
        deaths: Vec::new(),
    }
}

/// Breaks a clean run and returns the lines that report it, with their counts.
fn broken(spoil: impl FnOnce(&mut Evidence)) -> Vec<(&'static str, usize)> {
    let mut evidence = clean();
    spoil(&mut evidence);
    let ledger = Ledger::new(&evidence, DEMANDS);
    assert!(!ledger.is_clean());
    let lines = ledger.lines.iter().filter(|line| !line.offenders.is_empty());
    lines.map(|line| (line.name, line.offenders.len())).collect()
}

#[test]
fn a_run_in_which_all_went_well_is_clean() {
    let ledger = Ledger::new(&clean(), DEMANDS);
    assert!(ledger.is_clean(), "{ledger}");
    assert_eq!(
        (ledger.acknowledged, ledger.unknown, ledger.early, ledger.open),
        (5, 0, 1, 2)
    );
    assert_eq!(ledger.recoveries[&Fault::Kill(Victim::Orders)], (1, second(2)));
}

#[test]
fn an_acknowledged_order_that_the_log_does_not_have_is_lost() {
    let lines = broken(|run| {
        let order = run.placements[3].answers[0].id;
        run.log.retain(|event| event.order != order);
        run.created.remove(3);
        run.updated.drain(6..8);
    });
    assert_eq!(lines, [("lost", 1)]);
}

#[test]
fn an_order_without_an_answer_and_a_wrong_answer_are_reported() {
    let lines = broken(|run| {
        run.placements.push(Placement {
            sent: Some(second(9)),
            ..Placement::default()
        });
        run.placements[0].wrong.push("BAD_USER_INPUT".to_owned());
    });
    assert_eq!(lines, [("orders without a proper answer", 2)]);
}

#[test]
fn two_answers_and_two_orders_for_one_key_are_doubles() {
    let lines = broken(|run| {
        let other = Answer {
            id: Uuid::max(),
            body: String::new(),
        };
        run.placements[1].answers.push(other);
        let first = run
            .log
            .iter()
            .position(|event| event.order == Uuid::from_u64_pair(1, 2));
        let mut twin = run.log[first.unwrap()].clone();
        twin.order = Uuid::max();
        twin.visible = Some((1, "CANCELLED".to_owned()));
        twin.published = false;
        run.log.push(twin);
    });
    assert_eq!(lines, [("doubled by key", 2)]);
}

#[test]
fn a_version_that_the_log_has_twice_is_reported() {
    let lines = broken(|run| {
        let mut again = run.log[4].clone();
        again.event = Uuid::max();
        again.revision = 3;
        again.published = false;
        run.log.insert(5, again);
        run.log[6].revision = 4;
    });
    // Revisions 0, 1, 3, 4 and versions 1, 2, 2, 3 are one broken order.
    assert_eq!(lines, [("versions not 1..n", 1)]);
}

#[test]
fn a_missed_a_repeated_an_old_and_a_wrong_update_are_told_apart() {
    let lines = broken(|run| {
        run.placements[0].seen.remove(1);
        let again = run.placements[1].seen[1].clone();
        run.placements[1].seen.push(again);
        run.placements[2].seen.swap(1, 2);
        run.placements[3].seen[1].status = "CANCELLED".to_owned();
    });
    assert_eq!(
        lines,
        [
            ("updates missed", 1),
            ("updates repeated", 1),
            ("updates out of order", 1),
            ("updates unlike the log", 1)
        ]
    );
}

#[test]
fn an_update_is_late_by_the_time_from_its_commit_or_from_when_its_order_was_known() {
    let lines = broken(|run| {
        run.placements[0].seen[2].at += second(11);
        run.placements[1].seen[2].at += second(9);
        run.placements[2].seen[2].at += second(11);
        run.placements[2].acknowledged = Some(second(8));
    });
    assert_eq!(lines, [("updates more than 10 s late", 1)]);
}

#[test]
fn a_subscriber_that_saw_nothing_missed_everything() {
    let lines = broken(|run| run.placements[4].seen.clear());
    assert_eq!(lines, [("updates missed", 3), ("faults not recovered from", 1)]);
}

#[test]
fn missing_repeated_invented_and_swapped_events_in_the_streams_are_told_apart() {
    let lines = broken(|run| {
        run.created.remove(0);
        run.updated.remove(9);
        let again = run.updated[0];
        run.updated.extend([again, Uuid::max()]);
        run.updated.swap(3, 4);
    });
    assert_eq!(
        lines,
        [
            ("events missing from the two streams", 2),
            ("events in the two streams twice or without cause", 2),
            ("events out of order in the two streams", 1)
        ]
    );
}

#[test]
fn an_order_and_a_subscription_that_do_not_end_are_reported() {
    let lines = broken(|run| {
        let last = run.log.pop().unwrap();
        run.updated.retain(|event| *event != last.event);
        run.placements[4].seen.pop();
        run.placements[4].completed = false;
    });
    assert_eq!(
        lines,
        [("open at the end", 1), ("subscriptions that did not end", 1)]
    );
}

#[test]
fn faults_on_an_idle_system_or_too_far_apart_do_not_count() {
    let lines = broken(|run| {
        run.faults[0].open = 1;
        run.faults[1].at = second(4);
    });
    assert_eq!(lines, [("faults that were too easy", 2)]);
}

#[test]
fn a_process_that_ended_by_itself_is_reported() {
    let lines = broken(|run| run.deaths.push("api: exit code 101".to_owned()));
    assert_eq!(lines, [("processes that ended by themselves", 1)]);
}

#[test]
fn the_printed_ledger_describes_the_first_offenders_of_each_kind() {
    let mut evidence = clean();
    evidence.deaths = (0..7).map(|number| format!("death {number}")).collect();
    let text = Ledger::new(&evidence, DEMANDS).to_string();
    assert!(
        text.contains("\nprocesses that ended by themselves                        7\n"),
        "{text}"
    );
    assert!(text.contains("  death 4\n  and 2 more\n"), "{text}");
}
