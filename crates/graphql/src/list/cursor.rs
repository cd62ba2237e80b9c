//! A place in the list of orders, as clients keep it: opaque, and the same for ever.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Of the bytes below; old forms stay readable.
const FORM: u8 = 1;

/// A place in the list of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub u64);

/// A text that is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor")]
pub struct NotACursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [FORM; 9];
        bytes[1..].copy_from_slice(&self.0.to_be_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = NotACursor;

    fn from_str(text: &str) -> Result<Self, NotACursor> {
        let mut bytes = [0; 9];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(9) if bytes[0] == FORM => {}
            _ => return Err(NotACursor),
        }
        let [_, number @ ..] = bytes;
        Ok(Self(u64::from_be_bytes(number)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_the_same_text_in_every_release() {
        for (number, text) in [
            (0, "AQAAAAAAAAAA"),
            (1_000_000, "AQAAAAAAD0JA"),
            (u64::MAX, "Af__________"),
        ] {
            assert_eq!(Cursor(number).to_string(), text);
            assert_eq!(text.parse(), Ok(Cursor(number)));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let wrong = [
            "",
            "1",
            "AQAAAAAAAAA",
            "AQAAAAAAAAAAA",
            "AQAAAAAAAAAAAAAA",
            "AgAAAAAAAAAA",
            "AQAAAAAAAAAA=",
            "AQAAAAAA AAA",
            "Af++++++++++",
            "0198c5a0-7b1e-7c3a-9f5e-3b1f0d9a4c21",
        ];
        for text in wrong {
            assert_eq!(text.parse::<Cursor>(), Err(NotACursor), "{text}");
        }
    }
}
