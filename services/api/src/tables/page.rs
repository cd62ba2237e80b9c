//! Reads the list: a page is a range of one index, or of one for each status, merged.

use sqlx::{Database, Encode, QueryBuilder, Type};
use tiffin_eventstore::{DerivedError, Direction, Position, Tx, either, from_micros, to_micros};
use tiffin_order::Status;
use tiffin_proto::status_to_wire;
use time::OffsetDateTime;

use super::{LIVE, Tables};

/// A part of the list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    /// Orders of these statuses; of all if there are none. None comes twice.
    pub(crate) statuses: &'a [Status],
    /// Those whose numbers are above this one …
    pub(crate) above: Position,
    /// … and below this one.
    pub(crate) below: Position,
    /// Which of them come first, and are taken if there are more than `limit`.
    pub(crate) direction: Direction,
    pub(crate) limit: u32,
}

/// What is read of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: Position,
    pub(crate) updated_at: OffsetDateTime,
    pub(crate) public: Vec<u8>,
}

/// A look at the list.
pub(crate) struct Look(Tx);

impl Tables {
    /// Has a look at the list end in time, or fail.
    pub(crate) async fn reading<T: Send>(
        &self,
        reading: impl Future<Output = Result<T, DerivedError>> + Send,
    ) -> Result<T, DerivedError> {
        self.derived.reading(reading).await
    }

    /// Begins a look at the list. Keep it [bounded](Self::reading).
    pub(crate) async fn look(&self) -> Result<Look, DerivedError> {
        Ok(Look(self.derived.read().await?))
    }
}

impl Look {
    /// The orders of a part of the list.
    pub(crate) async fn page(&mut self, part: &Part<'_>) -> Result<Vec<Entry>, DerivedError> {
        let rows: Vec<(i64, i64, Vec<u8>)> = either!(&mut self.0, tx => {
            select(part).build_query_as().fetch_all(&mut **tx).await
        })?;
        let entry = |(number, updated_at, public)| Entry {
            number: Position::from_sql(number),
            updated_at: from_micros(updated_at),
            public,
        };
        Ok(rows.into_iter().map(entry).collect())
    }

    /// The number of the first order placed at this time or later; `None` if there is none yet.
    pub(crate) async fn first_since(&mut self, at: OffsetDateTime) -> Result<Option<Position>, DerivedError> {
        const SQL: &str = "SELECT number FROM orders \
             WHERE generation = (SELECT live FROM lists WHERE name = 'orders') AND created_at >= $1 \
             ORDER BY created_at, number LIMIT 1";
        let first: Option<i64> = either!(&mut self.0, tx => {
            sqlx::query_scalar(SQL).bind(to_micros(at)).fetch_optional(&mut **tx).await
        })?;
        Ok(first.map(Position::from_sql))
    }
}

fn select<DB: Database>(part: &Part<'_>) -> QueryBuilder<DB>
where
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    i32: for<'q> Encode<'q, DB> + Type<DB>,
{
    let order = match part.direction {
        Direction::Forwards => "",
        Direction::Backwards => " DESC",
    };
    let limit = i64::from(part.limit);
    let (above, below) = (part.above.to_sql(), part.below.to_sql());
    let mut sql = QueryBuilder::new("");
    let rows = |sql: &mut QueryBuilder<DB>| {
        sql.push("SELECT number, updated_at, public FROM orders WHERE generation = (")
            .push(LIVE)
            .push(") AND ");
    };
    if part.statuses.is_empty() {
        rows(&mut sql);
        sql.push("number > ").push_bind(above);
        sql.push(" AND number < ").push_bind(below);
    }
    for (n, status) in part.statuses.iter().enumerate() {
        let status = status_to_wire(*status) as i32;
        sql.push(if n == 0 { "" } else { " UNION ALL " })
            .push("SELECT * FROM (");
        rows(&mut sql);
        // Compared and sorted as pairs, no other index than that of statuses serves.
        sql.push("(status, number) > (")
            .push_bind(status)
            .push(", ")
            .push_bind(above);
        sql.push(") AND (status, number) < (")
            .push_bind(status)
            .push(", ")
            .push_bind(below);
        sql.push(") ORDER BY status")
            .push(order)
            .push(", number")
            .push(order);
        sql.push(" LIMIT ").push_bind(limit).push(") AS s").push(n);
    }
    sql.push(" ORDER BY number")
        .push(order)
        .push(" LIMIT ")
        .push_bind(limit);
    sql
}
