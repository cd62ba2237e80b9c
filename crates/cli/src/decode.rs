//! `tiffin decode`: a message of the bus as one line of JSON.

use std::io::{self, Read};

use tiffin_proto::{decode_bus, to_json};

use crate::{failure::Failure, output};

/// Far above what any message of the bus may be.
const LARGEST: u64 = 16 * 1024 * 1024;

pub(crate) fn run() -> Result<(), Failure> {
    let mut message = Vec::new();
    io::stdin()
        .take(LARGEST)
        .read_to_end(&mut message)
        .map_err(Failure::fault)?;
    output::line(line(&message)?)
}

/// One line for a message, whatever its kind.
fn line(message: &[u8]) -> Result<String, Failure> {
    let unknown = || Failure::fault("this is no message that this version knows");
    let event = decode_bus(message).map_err(|_| unknown())?;
    if event.event.is_none() {
        return Err(unknown());
    }
    let line = to_json(&event).map_err(Failure::fault)?;
    String::from_utf8(line).map_err(Failure::fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `order_parked { id: "x" what: "start" }`, `recorded_at { seconds: 1 }`.
    const PARKED: &[u8] = b"\x1a\x0a\x0a\x01x\x12\x05start\xa2\x06\x02\x08\x01";

    #[test]
    fn a_message_is_one_line_of_json() {
        let json: serde_json::Value = serde_json::from_str(&line(PARKED).unwrap()).unwrap();
        let expected = serde_json::json!({
            "orderParked": { "id": "x", "what": "start" },
            "recordedAt": "1970-01-01T00:00:01Z",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let too_new = b"\x9a\x05\x00";
        for bytes in [&b""[..], b"{\"id\": 1}", b"rubbish", too_new, &PARKED[..5]] {
            assert!(line(bytes).is_err(), "{bytes:?}");
        }
    }
}
