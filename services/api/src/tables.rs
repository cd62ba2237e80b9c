//! The list of orders in SQL: one row for each order, in the generation that is served and in one being built.

use bytes::Bytes;
use sqlx::{Database, Encode, QueryBuilder, Type};
use tiffin_eventstore::{
    Checkpoint, Cursor, Derived, DerivedError, Migrations, Position, Tx, either, parts, to_micros,
};
use tiffin_order::{OrderId, Status, Version};
use tiffin_proto::status_to_wire;
use time::OffsetDateTime;
use uuid::Uuid;

/// The schema, and its file in SQLite.
pub(crate) const SCHEMA: &str = "api";
pub(crate) const MIGRATIONS: Migrations = Migrations {
    sqlite: &[include_str!("../migrations/sqlite/0001_orders.sql")],
    postgres: &[include_str!("../migrations/postgres/0001_orders.sql")],
};

/// Rows of one transaction: the lease, which has the same connection, is to be renewed in between.
const AT_ONCE: usize = 1_000;

const LIVE: &str = "SELECT live FROM lists WHERE name = 'orders'";

/// An order as its last visible event shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// Its place in the list: the number of its stream, which rises with the time of creation.
    pub(crate) number: Position,
    pub(crate) order: OrderId,
    pub(crate) status: Status,
    pub(crate) version: Version,
    pub(crate) created_at: OffsetDateTime,
    pub(crate) updated_at: OffsetDateTime,
    /// The public part of that event.
    pub(crate) public: Bytes,
}

/// The tables of `api`.
#[derive(Clone)]
pub(crate) struct Tables {
    derived: Derived,
}

mod generation;
mod page;

pub(crate) use generation::Generation;
pub(crate) use page::{Entry, Look, Part};

impl Tables {
    pub(crate) fn new(derived: Derived) -> Self {
        Self { derived }
    }

    /// How far a generation has come.
    pub(crate) async fn checkpoint(&self, generation: Generation) -> Result<Cursor, DerivedError> {
        Ok(self.derived.checkpoint(&generation.name()).await?.cursor)
    }

    /// Moves a generation on from one cursor to another, with what changed in between; fails with `Fenced` if somebody
    /// else has moved it, or if it is obsolete.
    pub(crate) async fn advance(
        &self,
        generation: Generation,
        rows: &[Row],
        from: &Cursor,
        to: Cursor,
    ) -> Result<(), DerivedError> {
        let to = Checkpoint {
            cursor: to,
            note: Bytes::new(),
        };
        let last = self.write_all_but_last(generation, rows).await?;
        let advancing = async {
            let mut tx = self.write(generation, last).await?;
            Derived::advance(&mut tx, &generation.name(), from, &to).await?;
            tx.commit().await
        };
        self.derived.writing(advancing).await
    }

    /// Writes rows, and leaves the last of them to another transaction. Rows that are written twice do no harm.
    async fn write_all_but_last<'a>(
        &self,
        generation: Generation,
        mut rows: &'a [Row],
    ) -> Result<&'a [Row], DerivedError> {
        while let Some((now, later)) = rows.split_at_checked(AT_ONCE)
            && !later.is_empty()
        {
            let writing = async { self.write(generation, now).await?.commit().await };
            self.derived.writing(writing).await?;
            rows = later;
        }
        Ok(rows)
    }

    /// Writes rows, and leaves the transaction open.
    async fn write(&self, generation: Generation, rows: &[Row]) -> Result<Tx, DerivedError> {
        let mut tx = self.derived.begin().await?;
        either!(&mut tx, tx => for part in parts(rows) {
            upsert(generation, part).build().execute(&mut **tx).await?;
        });
        Ok(tx)
    }
}

/// Orders never go back, whoever writes them.
fn upsert<DB: Database>(generation: Generation, rows: &[Row]) -> QueryBuilder<DB>
where
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
    i32: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    Vec<u8>: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut sql = QueryBuilder::new(
        "INSERT INTO orders (generation, number, order_id, status, version, created_at, updated_at, public) ",
    );
    sql.push_values(rows, |mut values, row| {
        values
            .push_bind(generation.0)
            .push_bind(row.number.to_sql())
            .push_bind(row.order.uuid())
            .push_bind(status_to_wire(row.status) as i32)
            .push_bind(version(row.version))
            .push_bind(to_micros(row.created_at))
            .push_bind(to_micros(row.updated_at))
            .push_bind(row.public.to_vec());
    });
    sql.push(
        " ON CONFLICT (generation, number) DO UPDATE SET status = excluded.status, version = excluded.version, \
         updated_at = excluded.updated_at, public = excluded.public WHERE orders.version < excluded.version",
    );
    sql
}

fn version(version: Version) -> i32 {
    i32::try_from(version.get()).unwrap_or(i32::MAX)
}
