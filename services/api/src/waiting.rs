//! The orders that were placed and not yet taken up, as the log's tail shows them.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    time::Duration,
};

use tiffin_eventstore::{Position, RecordedEvent, Revision};
use tiffin_order::OrderId;
use time::OffsetDateTime;

/// An order that one placed so much later overtook waits for something else than its turn.
const OVERTAKEN: time::Duration = time::Duration::MINUTE;

/// Orders waiting to be taken up. An order is taken up with the second event of its stream, whatever that is: a
/// start, a cancellation, or being parked.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// By the position of their first event, so that the oldest comes first.
    placed: BTreeMap<Position, OffsetDateTime>,
    /// Those that were overtaken: left to a newer version of `orders`, say. They are no sign of overload.
    overtaken: HashSet<Position>,
    /// How many were taken up in each second in which any was, the last minute's.
    taken_up: VecDeque<(i64, usize)>,
}

/// What the admission of a new order depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// How many orders wait.
    pub(crate) count: usize,
    /// How many of them wait for their turn, since they were not overtaken.
    pub(crate) queue: usize,
    /// For how long the oldest of these has been waiting.
    pub(crate) oldest: Option<Duration>,
    /// How many were taken up lately.
    pub(crate) taken_up: usize,
}

impl Waiting {
    /// Takes the next event of the log into account.
    pub(crate) fn observe(&mut self, event: &RecordedEvent) {
        if event.revision == Revision::FIRST {
            if OrderId::from_stream(event.stream.as_str()).is_some() {
                self.placed.insert(event.stream_no, event.created_at);
            }
        } else if let Some(placed) = self.placed.remove(&event.stream_no) {
            self.take_up(event.created_at);
            self.overtake(placed);
        } else if self.overtaken.remove(&event.stream_no) || is_second_of_order(event) {
            // The last are those that were placed before this process began to look.
            self.take_up(event.created_at);
        }
    }

    fn take_up(&mut self, at: OffsetDateTime) {
        let second = at.unix_timestamp();
        match self.taken_up.back_mut() {
            Some((last, count)) if *last == second => *count += 1,
            _ => self.taken_up.push_back((second, 1)),
        }
        let forgotten = second - OVERTAKEN.whole_seconds();
        while self.taken_up.front().is_some_and(|(first, _)| *first < forgotten) {
            self.taken_up.pop_front();
        }
    }

    /// An order that was placed at this time is taken up: those that were placed long before it have been overtaken.
    fn overtake(&mut self, placed: OffsetDateTime) {
        while let Some(oldest) = self.placed.first_entry()
            && oldest.get().saturating_add(OVERTAKEN) < placed
        {
            self.overtaken.insert(oldest.remove_entry().0);
        }
    }

    /// The backlog at this time, with what was taken up within so long.
    pub(crate) fn backlog(&self, now: OffsetDateTime, lately: Duration) -> Backlog {
        let since_second = (now - lately).unix_timestamp();
        // A clock that is read a little early makes an age of zero.
        let since = |at: OffsetDateTime| Duration::try_from(now - at).unwrap_or_default();
        Backlog {
            count: self.placed.len() + self.overtaken.len(),
            queue: self.placed.len(),
            oldest: self.placed.first_key_value().map(|(_, placed)| since(*placed)),
            taken_up: self
                .taken_up
                .iter()
                .rev()
                .take_while(|(second, _)| *second >= since_second)
                .map(|(_, count)| count)
                .sum(),
        }
    }
}

fn is_second_of_order(event: &RecordedEvent) -> bool {
    event.revision == Revision(1) && OrderId::from_stream(event.stream.as_str()).is_some()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    const NOON: OffsetDateTime = datetime!(2024-03-01 12:00 UTC);

    fn event(stream: &str, stream_no: u64, revision: u64, second: i64) -> RecordedEvent {
        RecordedEvent {
            position: Position(stream_no + revision),
            stream: Arc::<str>::from(stream).into(),
            stream_no: Position(stream_no),
            revision: Revision(revision),
            id: Uuid::from_u128(1),
            kind: "any".into(),
            data: Bytes::new(),
            metadata: Bytes::new(),
            created_at: NOON + time::Duration::seconds(second),
        }
    }

    fn order(number: u128) -> String {
        OrderId::new(Uuid::from_u128(number)).stream()
    }

    /// So many orders, none of which was overtaken.
    fn queue(count: usize, oldest: u64, taken_up: usize) -> Backlog {
        Backlog {
            count,
            queue: count,
            oldest: Some(Duration::from_secs(oldest)),
            taken_up,
        }
    }

    const LATELY: Duration = Duration::from_secs(5);

    #[test]
    fn an_order_waits_from_its_first_event_to_its_second() {
        let mut waiting = Waiting::default();
        waiting.observe(&event(&order(1), 1, 0, 0));
        waiting.observe(&event(&order(2), 2, 0, 1));
        let at = NOON + time::Duration::seconds(4);
        assert_eq!(waiting.backlog(at, LATELY), queue(2, 4, 0));
        waiting.observe(&event(&order(1), 1, 1, 3));
        assert_eq!(waiting.backlog(at, LATELY), queue(1, 3, 1));
        waiting.observe(&event(&order(1), 1, 2, 4));
        assert_eq!(waiting.backlog(at, LATELY), queue(1, 3, 1));
    }

    #[test]
    fn what_was_taken_up_lately_is_counted_by_seconds() {
        let mut waiting = Waiting::default();
        for second in 0..100 {
            for number in [2 * second, 2 * second + 1] {
                waiting.observe(&event(&order(number.into()), number, 1, second.cast_signed()));
            }
        }
        let taken_up = |second| {
            let at = NOON + time::Duration::seconds(second);
            waiting.backlog(at, LATELY).taken_up
        };
        assert_eq!((taken_up(99), taken_up(102), taken_up(105)), (12, 6, 0));
    }

    #[test]
    fn an_order_that_one_placed_over_a_minute_later_overtook_counts_but_ages_nobody() {
        let mut waiting = Waiting::default();
        for (number, second) in [(1, 0), (2, 5), (3, 60), (4, 61)] {
            waiting.observe(&event(&order(number.into()), number, 0, second));
        }
        let oldest = |waiting: &Waiting| {
            let backlog = waiting.backlog(NOON + time::Duration::seconds(100), LATELY);
            (backlog.count, backlog.oldest.map(|age| age.as_secs()))
        };
        waiting.observe(&event(&order(3), 3, 1, 62));
        assert_eq!(oldest(&waiting), (3, Some(100)));
        waiting.observe(&event(&order(4), 4, 1, 63));
        assert_eq!(oldest(&waiting), (2, Some(95)));
        waiting.observe(&event(&order(1), 1, 1, 64));
        assert_eq!(oldest(&waiting), (1, Some(95)));
    }

    #[test]
    fn a_long_queue_that_is_served_in_its_order_ages() {
        let mut waiting = Waiting::default();
        for number in 1..=300 {
            waiting.observe(&event(&order(number.into()), number, 0, number.cast_signed()));
        }
        for number in 1..=100 {
            waiting.observe(&event(&order(number.into()), number, 1, 301));
        }
        let backlog = waiting.backlog(NOON + time::Duration::seconds(301), LATELY);
        assert_eq!(
            (backlog.count, backlog.oldest),
            (200, Some(Duration::from_secs(200)))
        );
    }

    #[test]
    fn an_order_placed_before_anybody_looked_shows_that_orders_are_taken_up() {
        let mut waiting = Waiting::default();
        waiting.observe(&event(&order(1), 1, 1, 2));
        let at = NOON + time::Duration::seconds(3);
        assert_eq!(waiting.backlog(at, LATELY).taken_up, 1);
        waiting.observe(&event(&order(1), 1, 2, 3));
        assert_eq!(waiting.backlog(at, LATELY).taken_up, 1);
    }

    #[test]
    fn what_is_no_order_waits_for_nobody() {
        let mut waiting = Waiting::default();
        waiting.observe(&event("workflow-1", 1, 0, 0));
        waiting.observe(&event("workflow-1", 1, 1, 0));
        assert_eq!(waiting.backlog(NOON, LATELY), Backlog::default());
    }
}
