//! The last second of the log, in which only each order's newest event counts.

use std::collections::{BTreeMap, HashMap};

use tiffin_eventstore::{Cursor, Position, RecordedEvent, Revision};
use tiffin_order::{OrderId, after};
use tiffin_proto::{Envelope, kind};
use time::OffsetDateTime;

use super::sweep::SETTLED;
use crate::tables::{Entry, Wants};

/// What an event of an order's stream means to the index; `None` for any other stream.
pub(super) fn entry(event: &RecordedEvent) -> Option<Entry> {
    let order = OrderId::from_stream(event.stream.as_str())?;
    let envelope = Envelope::decode(&event.metadata).ok();
    let wants = match &envelope {
        Some(Envelope {
            wake_after: Some(wait),
            ..
        }) => Wants::Wake(after(event.created_at, *wait)),
        Some(_) if &*event.kind == kind::ORDER_PARKED => Wants::Attention,
        Some(_) => Wants::Nothing,
        // Nobody knows what it wants, so somebody has to look: its handler does, and sets it aside.
        None => Wants::Wake(event.created_at),
    };
    let status = envelope.and_then(|envelope| envelope.status);
    Some(Entry {
        order,
        position: event.position,
        wants,
        status,
    })
}

/// Events that are still young.
#[derive(Default)]
pub(super) struct Trail {
    newest: BTreeMap<Position, Young>,
    places: HashMap<OrderId, Position>,
    /// The last event seen.
    read: Cursor,
    /// The last event that is, or is superseded by one that is, no longer here.
    done: Cursor,
}

struct Young {
    entry: Entry,
    cursor: Cursor,
    at: OffsetDateTime,
    /// When the order was placed, if its first event came by: then the index knows nothing of it.
    born: Option<OffsetDateTime>,
}

impl Trail {
    /// A trail that begins after `cursor`.
    pub(super) fn new(cursor: Cursor) -> Self {
        Self {
            read: cursor,
            done: cursor,
            ..Self::default()
        }
    }

    /// How many orders are in it.
    pub(super) fn len(&self) -> usize {
        self.newest.len()
    }

    /// Adds the log's next event.
    pub(super) fn push(&mut self, event: &RecordedEvent) {
        self.read = event.cursor();
        let Some(mut entry) = entry(event) else { return };
        let former = self.places.insert(entry.order, entry.position);
        let former = former.and_then(|position| self.newest.remove(&position));
        entry.status = entry
            .status
            .or(former.as_ref().and_then(|former| former.entry.status));
        let first = (event.revision == Revision::FIRST).then_some(event.created_at);
        let born = first.or(former.and_then(|former| former.born));
        let young = Young {
            entry,
            cursor: self.read,
            at: event.created_at,
            born,
        };
        self.newest.insert(entry.position, young);
    }

    /// Takes out what is not younger than `cutoff`, `at_most` so many, and how far the index has come with it.
    pub(super) fn take(&mut self, cutoff: OffsetDateTime, at_most: usize) -> (Vec<Entry>, Cursor) {
        let mut taken = Vec::new();
        while taken.len() < at_most
            && let Some(oldest) = self
                .newest
                .first_entry()
                .filter(|oldest| oldest.get().at <= cutoff)
        {
            let Young {
                entry, cursor, born, ..
            } = oldest.remove();
            self.places.remove(&entry.order);
            self.done = cursor;
            // An order that came and went in between never had a row, unless the index was so late that the sweep made one.
            let unseen = born.is_some_and(|born| born > cutoff - SETTLED / 2);
            if !(unseen && entry.wants == Wants::Nothing) {
                taken.push(entry);
            }
        }
        if self.newest.is_empty() {
            self.done = self.read;
        }
        (taken, self.done)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tiffin_eventstore::StreamName;
    use tiffin_order::{Input, Order, Owner, Products, Status, Workflow, decide, evolve};
    use tiffin_proto::{Context, encode};
    use uuid::Uuid;

    use super::*;

    fn at(ms: u64) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    /// A log of orders that are placed, started and advanced by hand.
    struct Log {
        workflow: Workflow,
        position: u64,
        orders: HashMap<u128, (Order, u64)>,
    }

    impl Log {
        fn new() -> Self {
            Self {
                workflow: Workflow::parse(include_str!("../../../../saga.toml")).unwrap(),
                position: 0,
                orders: HashMap::new(),
            }
        }

        fn event(&mut self, number: u128, ms: u64, input: Input) -> RecordedEvent {
            let (order, revision) = self.orders.remove(&number).unwrap_or((Order::Absent, 0));
            let id = OrderId::new(Uuid::from_u128(number));
            let new = decide(&order, input, &self.workflow, at(ms)).unwrap().remove(0);
            let encoded = encode(id, &order, &new, &Context::default());
            self.orders
                .insert(number, (evolve(order, &new.fact, at(ms)), revision + 1));
            self.position += 1;
            RecordedEvent {
                position: Position(self.position),
                stream: StreamName::from(id.stream()),
                stream_no: Position(1),
                revision: Revision(revision),
                id: Uuid::from_u128(self.position.into()),
                kind: encoded.kind.into(),
                data: encoded.data,
                metadata: encoded.metadata,
                created_at: at(ms),
            }
        }

        fn placed(&mut self, number: u128, ms: u64) -> RecordedEvent {
            let products = Products::parse([("Dal", 1)]).unwrap();
            self.event(
                number,
                ms,
                Input::Create {
                    owner: Owner::parse("web").unwrap(),
                    products,
                },
            )
        }
    }

    fn cancel() -> Input {
        Input::Cancel {
            reason: tiffin_order::Reason::CancelledByStaff,
            note: None,
        }
    }

    fn park() -> Input {
        Input::Park {
            what: "w".into(),
            reason: "r".into(),
            attempts: 5,
        }
    }

    #[test]
    fn only_the_newest_event_of_an_order_counts_and_it_keeps_the_status() {
        let mut log = Log::new();
        let mut trail = Trail::new(Cursor::START);
        trail.push(&log.placed(1, 0));
        let started = log.event(1, 100, Input::Start);
        trail.push(&started);
        assert_eq!(trail.take(at(99), 9), (vec![], Cursor::START));
        let entry = Entry {
            order: OrderId::new(Uuid::from_u128(1)),
            position: Position(2),
            wants: Wants::Wake(at(30_100)),
            status: Some(Status::Pending),
        };
        assert_eq!(trail.take(at(100), 9), (vec![entry], started.cursor()));
    }

    #[test]
    fn a_superseded_event_is_passed_over_while_its_successor_is_young() {
        let mut log = Log::new();
        let mut trail = Trail::new(Cursor::START);
        trail.push(&log.placed(1, 0));
        let other = log.placed(2, 10);
        trail.push(&other);
        trail.push(&log.event(1, 500, Input::Start));
        let (taken, done) = trail.take(at(400), 9);
        assert_eq!(
            taken.iter().map(|entry| entry.position).collect::<Vec<_>>(),
            [Position(2)]
        );
        assert_eq!(done, other.cursor());
        assert_eq!(trail.len(), 1);
    }

    #[test]
    fn a_long_trail_is_taken_in_parts_each_with_its_cursor() {
        let mut log = Log::new();
        let mut trail = Trail::new(Cursor::START);
        let placed: Vec<_> = (1..=5).map(|number| log.placed(number, 0)).collect();
        for event in &placed {
            trail.push(event);
        }
        for part in placed.chunks(2) {
            let (taken, done) = trail.take(at(0), 2);
            assert!(
                taken
                    .iter()
                    .map(|entry| entry.position)
                    .eq(part.iter().map(|event| event.position))
            );
            assert_eq!(Some(done), part.last().map(RecordedEvent::cursor));
        }
    }

    #[test]
    fn an_order_that_came_and_went_leaves_no_trace() {
        let mut log = Log::new();
        let mut trail = Trail::new(Cursor::START);
        trail.push(&log.placed(1, 0));
        let gone = log.event(1, 100, cancel());
        trail.push(&gone);
        assert_eq!(trail.take(at(100), 9), (vec![], gone.cursor()));
        // One whose row may exist is deleted.
        trail.push(&log.placed(2, 200));
        trail.take(at(200), 9);
        trail.push(&log.event(2, 300, cancel()));
        let (taken, _) = trail.take(at(300), 9);
        assert_eq!(
            taken.iter().map(|entry| entry.wants).collect::<Vec<_>>(),
            [Wants::Nothing]
        );
    }

    #[test]
    fn an_order_that_came_and_went_while_the_index_was_late_loses_the_row_that_the_sweep_may_have_made() {
        let mut log = Log::new();
        let mut trail = Trail::new(Cursor::START);
        trail.push(&log.placed(1, 0));
        let swept: u64 = SETTLED.as_millis().try_into().unwrap();
        trail.push(&log.event(1, swept, cancel()));
        let (taken, _) = trail.take(at(swept), 9);
        assert_eq!(
            taken.iter().map(|entry| entry.wants).collect::<Vec<_>>(),
            [Wants::Nothing]
        );
    }

    #[test]
    fn a_parked_order_keeps_a_row_that_wakes_nobody() {
        let mut log = Log::new();
        log.placed(1, 0);
        assert_eq!(entry(&log.event(1, 10, park())).unwrap().wants, Wants::Attention);
    }

    #[test]
    fn an_event_whose_metadata_cannot_be_read_is_looked_at_at_once() {
        let damaged = RecordedEvent {
            metadata: vec![0xff].into(),
            ..Log::new().placed(1, 7)
        };
        assert_eq!(entry(&damaged).unwrap().wants, Wants::Wake(at(7)));
    }

    #[test]
    fn an_event_that_wants_to_be_woken_after_the_end_of_the_calendar_is_woken_at_its_end() {
        let mut log = Log::new();
        log.workflow = log.workflow.sped_up(1e-300);
        log.placed(1, 0);
        let started = log.event(1, 100, Input::Start);
        let end = time::macros::datetime!(9999-12-31 23:59:59.999_999_999 UTC);
        assert_eq!(entry(&started).unwrap().wants, Wants::Wake(end));
    }

    #[test]
    fn other_streams_only_move_the_cursor() {
        let kind = Arc::from("workflow-defined");
        let stream = StreamName::from("workflow-1");
        let other = RecordedEvent {
            stream,
            kind,
            ..Log::new().placed(1, 0)
        };
        let mut trail = Trail::new(Cursor::START);
        trail.push(&other);
        assert_eq!(trail.take(at(0), 9), (vec![], other.cursor()));
    }
}
