//! Which page of a list is wanted, as Relay's four arguments say it.

use super::{Cursor, bad};
use crate::Error;

/// The size of a page of which nobody says how long it is to be.
const DEFAULT: u32 = 20;
/// The most orders of a page.
const MOST: u32 = 100;

/// A page: the first or the last so many of what lies between two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most so many orders, 1 to 100.
    pub limit: u32,
    /// Whether the last of them are wanted, not the first. They come in the same order.
    pub last: bool,
    /// Only what follows this place.
    pub after: Option<Cursor>,
    /// Only what precedes this place.
    pub before: Option<Cursor>,
}

impl Page {
    /// Checks the four arguments.
    ///
    /// # Errors
    /// [`BadUserInput`](crate::ErrorCode::BadUserInput) with the argument that makes no sense.
    pub fn parse(
        first: Option<i32>,
        after: Option<&str>,
        last: Option<i32>,
        before: Option<&str>,
    ) -> Result<Self, Error> {
        if first.is_some() && last.is_some() {
            return Err(bad("Both first and last are given.", "last")
                .hint("Use first, with after, to go forwards, or last, with before, to go backwards."));
        }
        Ok(Self {
            limit: match (first, last) {
                (Some(first), _) => limit(first, "first")?,
                (None, Some(last)) => limit(last, "last")?,
                (None, None) => DEFAULT,
            },
            last: last.is_some(),
            after: cursor(after, "after")?,
            before: cursor(before, "before")?,
        })
    }
}

fn limit(number: i32, argument: &str) -> Result<u32, Error> {
    match u32::try_from(number) {
        Ok(number @ 1..=MOST) => Ok(number),
        _ => Err(bad("A page has 1 to 100 orders.", argument)
            .hint("Ask for fewer, and for the next page after this one's endCursor.")),
    }
}

fn cursor(text: Option<&str>, argument: &str) -> Result<Option<Cursor>, Error> {
    text.map(str::parse).transpose().map_err(|_| {
        bad("This is not a cursor.", argument)
            .hint("Send a cursor as it came in an edge, or in pageInfo, or leave the argument out.")
    })
}

#[cfg(test)]
mod tests {
    use async_graphql::ErrorExtensions;

    use super::*;

    const PLACE: &str = "AQAAAAAAAAAH";

    #[test]
    fn a_page_goes_forwards_unless_it_is_told_otherwise() {
        let page = |limit, last| Page {
            limit,
            last,
            after: None,
            before: None,
        };
        assert_eq!(Page::parse(None, None, None, None), Ok(page(20, false)));
        assert_eq!(Page::parse(Some(100), None, None, None), Ok(page(100, false)));
        assert_eq!(Page::parse(None, None, Some(1), None), Ok(page(1, true)));
    }

    #[test]
    fn a_page_may_lie_between_two_places() {
        let page = Page::parse(None, Some(PLACE), None, Some(PLACE)).unwrap();
        assert_eq!((page.after, page.before), (Some(Cursor(7)), Some(Cursor(7))));
    }

    #[test]
    fn nonsense_is_named_and_comes_with_a_hint() {
        let cases = [
            (Page::parse(Some(1), None, Some(1), None), "last"),
            (Page::parse(Some(0), None, None, None), "first"),
            (Page::parse(Some(-1), None, None, None), "first"),
            (Page::parse(Some(101), None, None, None), "first"),
            (Page::parse(None, None, Some(i32::MIN), None), "last"),
            (Page::parse(None, Some("x"), None, None), "after"),
            (Page::parse(None, None, None, Some("")), "before"),
        ];
        for (result, field) in cases {
            let extensions = result.unwrap_err().extend().extensions.unwrap();
            assert_eq!(extensions.get("code"), Some(&"BAD_USER_INPUT".into()));
            assert_eq!(extensions.get("field"), Some(&field.into()));
            assert!(extensions.get("hint").is_some());
        }
    }
}
