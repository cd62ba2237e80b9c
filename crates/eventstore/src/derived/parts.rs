//! Many rows by few statements.

/// The most rows of a part: 256 rows of eight values are far below what either database takes in one statement.
const MOST: usize = 256;

/// Parts of `rows`, in order, whose lengths are powers of two: the texts of statements for them are so few that each is
/// prepared once. A text of hundreds of rows costs more to parse than its rows cost to write.
pub fn parts<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let mut left = rows;
    std::iter::from_fn(move || {
        let power = left.len().checked_ilog2()?;
        let (part, others) = left.split_at((1 << power).min(MOST));
        left = others;
        Some(part)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn all_rows_come_once_and_in_order() {
        for count in 0..=1_000 {
            let rows: Vec<_> = (0..count).collect();
            assert_eq!(parts(&rows).collect::<Vec<_>>().concat(), rows);
        }
    }

    #[test]
    fn few_statements_serve_any_number_of_rows() {
        let rows = [(); 1_000];
        let lengths = (0..=rows.len()).flat_map(|count| parts(&rows[..count]).map(<[()]>::len));
        assert_eq!(lengths.collect::<HashSet<_>>().len(), 9);
    }
}
