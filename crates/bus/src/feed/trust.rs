//! Whether the next message vouches for the log up to its event.

/// The trust in one incarnation of the stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trust {
    /// The last sequence received, or that at which the stream ended when it was attached to.
    last_sequence: u64,
    /// The log has been read to its head since the last gap.
    read: bool,
}

impl Trust {
    /// None yet in a stream that ends at `last_sequence`: the log has to be read first.
    pub(super) fn new(last_sequence: u64) -> Trust {
        Trust {
            last_sequence,
            read: false,
        }
    }

    /// Notes that the message at `sequence` was received; `true` if it ends the trust, so that the log is to be read.
    ///
    /// A sequence that was skipped ends it, and so does a message that is no event: it comes from another writer, and
    /// the relay's messages beside it may be out of turn.
    pub(super) fn received(&mut self, sequence: u64, is_event: bool) -> bool {
        let follows = is_event && sequence == self.last_sequence + 1;
        self.last_sequence = sequence;
        let ends = self.read && !follows;
        self.read &= follows;
        ends
    }

    /// Notes that the log was read to its head: what follows in sequence vouches.
    pub(super) fn log_read(&mut self) {
        self.read = true;
    }

    /// Whether the message just received says that nothing before its event is missing.
    pub(super) fn vouches(&self) -> bool {
        self.read
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_vouches_before_the_log_was_read() {
        let mut trust = Trust::new(7);
        assert!(!trust.received(8, true));
        assert!(!trust.vouches());
        trust.log_read();
        assert!(!trust.received(9, true));
        assert!(trust.vouches());
    }

    #[test]
    fn a_skipped_sequence_and_a_message_of_another_writer_end_the_trust() {
        for (sequence, is_event) in [(9, true), (8, false), (7, true), (6, true)] {
            let mut trust = Trust::new(7);
            trust.log_read();
            assert!(trust.received(sequence, is_event), "{sequence} {is_event}");
            assert!(!trust.vouches());
            // The next one in sequence does not bring it back.
            assert!(!trust.received(sequence + 1, true));
            assert!(!trust.vouches());
        }
    }

    proptest! {
        /// A stream of events 1, 2, 3, … of which some are lost on the way, and a log that is read now and then.
        #[test]
        fn what_was_vouched_for_or_read_is_all_there_is(steps in prop::collection::vec((any::<bool>(), any::<bool>()), 0..200)) {
            let mut trust = Trust::new(0);
            let (mut cursor, mut known) = (0, std::collections::HashSet::new());
            for (event, (lost, reads)) in (1_u64..).zip(steps) {
                if !lost {
                    let ended = trust.received(event, true);
                    if ended || reads {
                        // All committed so far, this event and more among it.
                        known.extend(cursor + 1..=event);
                        cursor = event;
                        trust.log_read();
                    }
                    known.insert(event);
                    if trust.vouches() {
                        cursor = cursor.max(event);
                    }
                }
                prop_assert!((1..=cursor).all(|event| known.contains(&event)));
            }
        }
    }
}
