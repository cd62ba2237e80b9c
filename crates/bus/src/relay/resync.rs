//! What a relay makes of the stream it finds: the rewind, decided without I/O.

use tiffin_eventstore::Cursor;
use time::OffsetDateTime;

use super::mark::Mark;

/// What the server says of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) created: OffsetDateTime,
    pub(super) messages: u64,
    pub(super) first_sequence: u64,
    pub(super) last_sequence: u64,
}

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing happened: after the checkpoint. A stream emptied by age is merely old.
    InStep,
    /// The stream was lost: with the newest events that its limits would keep.
    Refill,
    /// The tail was lost, or somebody else has begun the stream: after the event of its last message.
    AfterLastMessage,
    /// There is more than was acknowledged: what follows our sequence may be acks that we missed.
    ReadOn,
}

/// Compares where we were (`None`: nowhere yet) with what is there. A log that was replaced makes every mark void.
pub(super) fn judge(mark: Option<Mark>, log_replaced: bool, seen: &Seen) -> Verdict {
    let Some(mark) = mark.filter(|mark| mark.created == seen.created && !log_replaced) else {
        // Whoever else published into it also chose where to begin.
        return if seen.messages == 0 {
            Verdict::Refill
        } else {
            Verdict::AfterLastMessage
        };
    };
    if seen.last_sequence == mark.sequence {
        Verdict::InStep
    } else if seen.last_sequence > mark.sequence {
        Verdict::ReadOn
    } else if seen.messages == 0 {
        Verdict::Refill
    } else {
        Verdict::AfterLastMessage
    }
}

/// A message in the stream; `event` is what its headers name, `None` if no relay published it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) event: Option<Cursor>,
}

/// How far stored messages are our next events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agreement {
    /// So many of our next events are in the stream.
    pub(super) events: usize,
    /// The first message that is not our next event.
    pub(super) foreign: Option<Stored>,
}

/// Compares the messages after our sequence with our next events, in order.
pub(super) fn missed_acks(next: &[Cursor], stored: &[Stored]) -> Agreement {
    let mut events = 0;
    for found in stored.iter().filter(|message| message.event.is_some()) {
        if next.get(events).copied() != found.event {
            return Agreement {
                events,
                foreign: Some(*found),
            };
        }
        events += 1;
    }
    Agreement {
        events,
        foreign: None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tiffin_eventstore::Position;
    use uuid::Uuid;

    use super::*;

    fn at(seconds: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(seconds).unwrap()
    }

    fn seen(created: i64, first_sequence: u64, last_sequence: u64) -> Seen {
        Seen {
            created: at(created),
            messages: (last_sequence + 1) - first_sequence,
            first_sequence,
            last_sequence,
        }
    }

    fn mark(created: i64, sequence: u64) -> Mark {
        Mark {
            created: at(created),
            sequence,
        }
    }

    fn event(number: u128) -> Cursor {
        Cursor {
            position: Position(u64::try_from(number).unwrap()),
            event_id: Uuid::from_u128(number),
        }
    }

    #[test]
    fn the_same_stream_at_our_sequence_is_in_step() {
        assert_eq!(judge(Some(mark(1, 5)), false, &seen(1, 1, 5)), Verdict::InStep);
        assert_eq!(judge(Some(mark(1, 0)), false, &seen(1, 1, 0)), Verdict::InStep);
    }

    #[test]
    fn an_empty_stream_at_our_sequence_is_merely_old() {
        assert_eq!(judge(Some(mark(1, 5)), false, &seen(1, 6, 5)), Verdict::InStep);
    }

    #[test]
    fn an_empty_stream_of_another_creation_is_refilled() {
        assert_eq!(judge(Some(mark(1, 5)), false, &seen(2, 1, 0)), Verdict::Refill);
        assert_eq!(judge(None, false, &seen(2, 1, 0)), Verdict::Refill);
    }

    #[test]
    fn a_lost_tail_is_continued_after_the_last_message() {
        assert_eq!(
            judge(Some(mark(1, 5)), false, &seen(1, 1, 3)),
            Verdict::AfterLastMessage
        );
    }

    #[test]
    fn a_tail_lost_with_all_the_rest_is_a_lost_stream() {
        assert_eq!(judge(Some(mark(1, 5)), false, &seen(1, 4, 3)), Verdict::Refill);
    }

    #[test]
    fn a_new_stream_that_somebody_began_to_refill_is_continued() {
        assert_eq!(
            judge(Some(mark(1, 5)), false, &seen(2, 1, 5)),
            Verdict::AfterLastMessage
        );
        assert_eq!(judge(None, false, &seen(2, 1, 5)), Verdict::AfterLastMessage);
    }

    #[test]
    fn a_stream_above_our_sequence_is_read_on() {
        assert_eq!(judge(Some(mark(1, 5)), false, &seen(1, 1, 7)), Verdict::ReadOn);
    }

    #[test]
    fn a_replaced_log_makes_the_mark_void() {
        assert_eq!(
            judge(Some(mark(1, 5)), true, &seen(1, 1, 5)),
            Verdict::AfterLastMessage
        );
    }

    #[test]
    fn messages_that_no_relay_published_are_passed_over() {
        let stored = [
            Stored {
                sequence: 6,
                event: Some(event(1)),
            },
            Stored {
                sequence: 7,
                event: None,
            },
            Stored {
                sequence: 8,
                event: Some(event(2)),
            },
        ];
        let all = [1, 2, 3].map(event);
        assert_eq!(
            missed_acks(&all, &stored),
            Agreement {
                events: 2,
                foreign: None
            }
        );
    }

    #[test]
    fn a_message_beyond_our_last_event_is_foreign() {
        let stored = [Stored {
            sequence: 6,
            event: Some(event(1)),
        }];
        assert_eq!(
            missed_acks(&[], &stored),
            Agreement {
                events: 0,
                foreign: Some(stored[0])
            }
        );
    }

    proptest! {
        #[test]
        fn acks_are_missed_up_to_the_first_message_that_is_not_ours(
            common in 0_u128..20, ours in 0_u128..20, theirs in 0_u128..20
        ) {
            let next: Vec<_> = (0..common + ours).map(event).collect();
            let stored: Vec<_> = (0..common)
                .chain((0..theirs).map(|number| 1000 + number))
                .map(|number| Stored { sequence: u64::try_from(number).unwrap(), event: Some(event(number)) })
                .collect();
            let agreement = missed_acks(&next, &stored);
            prop_assert_eq!(agreement.events, usize::try_from(common).unwrap());
            let foreign = agreement.foreign.and_then(|message| message.event);
            prop_assert_eq!(foreign, (theirs > 0).then(|| event(1000)));
        }
    }
}
