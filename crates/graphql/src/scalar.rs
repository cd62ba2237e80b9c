//! `AWSDateTime`, the schema's one scalar of its own.

use std::fmt;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use time::{
    OffsetDateTime, UtcOffset,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

const MILLISECONDS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A point in time, printed in UTC with milliseconds, as AppSync prints it: `2024-03-01T18:30:00.000Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AwsDateTime(pub OffsetDateTime);

impl fmt::Display for AwsDateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self
            .0
            .to_offset(UtcOffset::UTC)
            .format(MILLISECONDS)
            .map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

/// A point in time as RFC 3339 has it, for instance `2024-03-01T18:30:00.000Z`; always printed in UTC, with
/// milliseconds.
#[Scalar(
    name = "AWSDateTime",
    specified_by_url = "https://www.rfc-editor.org/rfc/rfc3339"
)]
impl ScalarType for AwsDateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        // In UTC it may be beyond what the calendar holds.
        OffsetDateTime::parse(text, &Rfc3339)
            .ok()
            .and_then(|at| at.checked_to_offset(UtcOffset::UTC))
            .map(Self)
            .ok_or_else(|| InputValueError::custom("Expected a time such as 2024-03-01T18:30:00.000Z."))
    }

    fn to_value(&self) -> Value {
        Value::String(self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_time_is_printed_in_utc_with_three_digits() {
        let at = |time| AwsDateTime(time).to_string();
        assert_eq!(at(datetime!(2024-03-01 18:30:00 UTC)), "2024-03-01T18:30:00.000Z");
        assert_eq!(
            at(datetime!(2024-03-01 18:30:00.123_999 +02:00)),
            "2024-03-01T16:30:00.123Z"
        );
    }

    #[test]
    fn a_printed_time_is_read_back() {
        let at = AwsDateTime(datetime!(2024-03-01 18:30:00.123 UTC));
        assert_eq!(AwsDateTime::parse(at.to_value()).unwrap(), at);
        for wrong in ["yesterday", "9999-12-31T23:59:59-00:01"] {
            assert!(AwsDateTime::parse(Value::from(wrong)).is_err(), "{wrong}");
        }
    }
}
