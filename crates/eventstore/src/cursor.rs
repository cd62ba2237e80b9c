//! A cursor: how far a reader has come, and in which log.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use crate::Position;

/// The last event that a reader has seen, by place and identity, so that a replaced log is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Cursor {
    /// The place of that event; 0 before the first.
    pub position: Position,
    /// The identity of that event; nil before the first.
    pub event_id: Uuid,
}

/// A text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct NotACursor;

impl Cursor {
    /// Before the first event.
    pub const START: Self = Self {
        position: Position::START,
        event_id: Uuid::nil(),
    };
}

/// Opaque text; its form may change from release to release, yet old forms stay readable.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.position, self.event_id.simple())
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let (position, event_id) = text.split_once('-').ok_or(NotACursor)?;
        Ok(Self {
            position: Position(position.parse().map_err(|_| NotACursor)?),
            event_id: event_id.parse().map_err(|_| NotACursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_written_and_read() {
        let cursor = Cursor {
            position: Position(42),
            event_id: Uuid::from_u128(7),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!("42".parse::<Cursor>(), Err(NotACursor));
        assert_eq!(
            "x-00000000000000000000000000000007".parse::<Cursor>(),
            Err(NotACursor)
        );
    }
}
