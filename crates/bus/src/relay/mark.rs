//! Where a relay stands: in the log, and in which stream at which sequence.

use bytes::Bytes;
use tiffin_eventstore::{Checkpoint, Cursor};
use time::OffsetDateTime;

/// A place in one stream's life: a stream that was lost and created anew is another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// When the server created the stream.
    pub(super) created: OffsetDateTime,
    /// A sequence of that stream; 0 before its first message.
    pub(super) sequence: u64,
}

/// Everything to publish up to `cursor` is in the stream, at `mark.sequence` or before; the next event's message
/// follows directly on `mark.sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cursor: Cursor,
    pub(super) mark: Mark,
}

impl Place {
    pub(super) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            cursor: self.cursor,
            note: self.mark.encode(),
        }
    }
}

impl Mark {
    /// `<sequence>@<created, Unix nanoseconds>`.
    pub(super) fn encode(&self) -> Bytes {
        format!("{}@{}", self.sequence, self.created.unix_timestamp_nanos()).into()
    }

    /// The mark in a checkpoint's note; `None` before the first checkpoint.
    pub(super) fn decode(note: &[u8]) -> Option<Mark> {
        let (sequence, created) = std::str::from_utf8(note).ok()?.split_once('@')?;
        Some(Mark {
            sequence: sequence.parse().ok()?,
            created: OffsetDateTime::from_unix_timestamp_nanos(created.parse().ok()?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_survives_its_note_to_the_nanosecond() {
        let created = OffsetDateTime::from_unix_timestamp_nanos(1_760_000_000_123_456_789).unwrap();
        let mark = Mark {
            created,
            sequence: 42,
        };
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
    }

    #[test]
    fn a_note_that_is_none_is_no_mark() {
        for note in ["", "42", "42@", "@1", "x@1", "1@99999999999999999999999999999999"] {
            assert_eq!(Mark::decode(note.as_bytes()), None, "{note}");
        }
    }
}
