//! Finding the last message of a stream that the log knows, in few reads.

/// Looks for the greatest number of a range that is accepted.
///
/// What is accepted is taken to be a prefix, found by galloping back from the end and halving; the few exceptions
/// that a stream may have only make the answer an earlier one.
pub(super) struct Search {
    first: u64,
    accepted: Option<u64>,
    refused: u64,
    step: u64,
}

impl Search {
    /// A search in `first..=last`.
    pub(super) fn new(first: u64, last: u64) -> Search {
        Search {
            first,
            accepted: None,
            refused: last + 1,
            step: 1,
        }
    }

    /// The number to look at next; `None` when the search is over.
    pub(super) fn next(&self) -> Option<u64> {
        match self.accepted {
            Some(accepted) => {
                let middle = accepted + (self.refused - accepted) / 2;
                (middle > accepted).then_some(middle)
            }
            None if self.refused <= self.first => None,
            None => Some(self.refused.saturating_sub(self.step).max(self.first)),
        }
    }

    /// What was found at that number.
    pub(super) fn answer(&mut self, number: u64, accepted: bool) {
        if accepted {
            self.accepted = Some(number);
        } else {
            self.refused = number;
            self.step *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(first: u64, last: u64, accepts: impl Fn(u64) -> bool) -> (Option<u64>, u32) {
        let mut search = Search::new(first, last);
        let mut probes = 0;
        while let Some(number) = search.next() {
            probes += 1;
            search.answer(number, accepts(number));
        }
        (search.accepted, probes)
    }

    proptest! {
        #[test]
        fn the_last_of_a_prefix_is_found_in_few_probes(
            first in 1_u64..100,
            length in 0_u64..1_000_000,
            accepted in 0_u64..1_000_000,
        ) {
            let (found, probes) = search(first, first + length - 1, |number| number < first + accepted);
            let expected = accepted.min(length).checked_sub(1).map(|offset| first + offset);
            prop_assert_eq!(found, expected);
            prop_assert!(probes <= 42);
        }
    }

    #[test]
    fn a_stray_at_the_end_is_stepped_over() {
        assert_eq!(search(1, 10, |number| number != 10).0, Some(9));
    }
}
