//! What a customer reads of an order's past.

use tiffin_order::{Actor, Change, Reason, Recorded, Status, Version, timeline};
use time::{Duration, OffsetDateTime};

fn event(second: i64, version: u32, status: Option<Status>) -> Recorded {
    let at = OffsetDateTime::UNIX_EPOCH + Duration::seconds(second);
    Recorded {
        version: Version::new(version),
        status,
        reason: None,
        actor: None,
        note: None,
        at,
    }
}

#[test]
fn it_tells_each_change_with_its_cause_and_passes_over_what_nobody_could_see() {
    let kitchen = Actor::parse("kitchen-1").unwrap();
    let events = [
        event(0, 1, Some(Status::Pending)),
        event(1, 0, None),
        event(31, 2, Some(Status::Paid)),
        Recorded {
            reason: Some(Reason::CancelledByStaff),
            actor: Some(kitchen.clone()),
            note: Some("no dal left".into()),
            ..event(33, 3, Some(Status::Cancelled))
        },
    ];
    let told = timeline(events);
    let seen: Vec<_> = told
        .iter()
        .map(|c| (c.version.get(), c.status, c.at.unix_timestamp()))
        .collect();
    assert_eq!(
        seen,
        [
            (1, Status::Pending, 0),
            (2, Status::Paid, 31),
            (3, Status::Cancelled, 33)
        ]
    );
    let Change {
        actor, reason, note, ..
    } = &told[2];
    assert_eq!(actor.as_ref(), Some(&kitchen));
    assert_eq!(*reason, Some(Reason::CancelledByStaff));
    assert_eq!(note.as_deref(), Some("no dal left"));
}
