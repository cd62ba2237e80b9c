//! The wake-up index in SQL: one row for each unfinished order.

use bytes::Bytes;
use sqlx::{Database, Encode, QueryBuilder, Type};
use tiffin_eventstore::{
    Checkpoint, Cursor, Derived, DerivedError, Migrations, Position, Tx, either, from_micros, parts,
    to_micros,
};
use tiffin_order::{OrderId, Status};
use time::OffsetDateTime;
use uuid::Uuid;

/// The schema, and its file in SQLite.
pub(crate) const SCHEMA: &str = "orders";
pub(crate) const MIGRATIONS: Migrations = Migrations {
    sqlite: &[include_str!("../migrations/sqlite/0001_wakeups.sql")],
    postgres: &[include_str!("../migrations/postgres/0001_wakeups.sql")],
};

/// The name of the index' checkpoint.
const NAME: &str = "wakeups";
/// Rows deleted by one statement.
const CHUNK: usize = 500;
/// Rows deleted at a time when all are.
const PART: i64 = 5_000;

/// What an order's last event wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wants {
    /// To be woken then.
    Wake(OffsetDateTime),
    /// Somebody to look at it.
    Attention,
    /// Nothing any more.
    Nothing,
}

/// An order's last event, as far as the index is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) order: OrderId,
    pub(crate) position: Position,
    pub(crate) wants: Wants,
    /// The order's status; `None` if the event does not say it.
    pub(crate) status: Option<Status>,
}

/// An order that should have been woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) order: OrderId,
    pub(crate) position: Position,
    /// Microseconds since 1970.
    pub(crate) wake_at: i64,
}

/// How many unfinished orders there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    /// By status; those whose status is not known count as the first.
    pub(crate) open: Vec<(String, i64)>,
    /// How many of them are set aside.
    pub(crate) parked: i64,
    /// The earliest time at which one wants to be woken.
    pub(crate) earliest: Option<OffsetDateTime>,
}

/// The tables of `orders`.
#[derive(Clone)]
pub(crate) struct Tables {
    derived: Derived,
}

impl Tables {
    pub(crate) fn new(derived: Derived) -> Self {
        Self { derived }
    }

    /// How far the index has come.
    pub(crate) async fn checkpoint(&self) -> Result<Checkpoint, DerivedError> {
        self.derived.checkpoint(NAME).await
    }

    /// Moves the index on from one cursor to another, with what happened in between; fails with `Fenced` if somebody
    /// else has moved it.
    pub(crate) async fn advance(
        &self,
        entries: &[Entry],
        from: &Cursor,
        to: Cursor,
    ) -> Result<(), DerivedError> {
        let to = Checkpoint {
            cursor: to,
            note: Bytes::new(),
        };
        if entries.is_empty() {
            return self.derived.save(NAME, from, &to).await;
        }
        let advancing = async {
            let mut tx = self.derived.begin().await?;
            write(&mut tx, entries).await?;
            Derived::advance(&mut tx, NAME, from, &to).await?;
            tx.commit().await
        };
        self.derived.writing(advancing).await
    }

    /// Empties the index and sends it back to the beginning of the log; fails with `Fenced` if somebody else has moved
    /// it. It is emptied in parts, so that the lease, which has the same connection, is renewed in between.
    pub(crate) async fn restart(&self, from: &Cursor) -> Result<(), DerivedError> {
        while self.derived.writing(self.empty_a_part(from)).await? > 0 {}
        Ok(())
    }

    /// Returns how many rows there were in the part; with none the index is at the beginning.
    async fn empty_a_part(&self, from: &Cursor) -> Result<u64, DerivedError> {
        const SQL: &str = "DELETE FROM wakeups WHERE order_id IN (SELECT order_id FROM wakeups LIMIT $1)";
        let mut tx = self.derived.begin().await?;
        let deleted = either!(&mut tx, tx => {
            sqlx::query(SQL).bind(PART).persistent(false).execute(&mut **tx).await?.rows_affected()
        });
        let cursor = if deleted == 0 { Cursor::START } else { *from };
        let note = Bytes::new();
        Derived::advance(&mut tx, NAME, from, &Checkpoint { cursor, note }).await?;
        tx.commit().await?;
        Ok(deleted)
    }

    /// Corrects one row, unless it has moved on meanwhile.
    pub(crate) async fn repair(&self, entry: Entry) -> Result<(), DerivedError> {
        let repairing = async {
            let mut tx = self.derived.begin().await?;
            write(&mut tx, &[entry]).await?;
            tx.commit().await
        };
        self.derived.writing(repairing).await
    }

    /// The orders that wanted to be woken before `before`, the earliest first, after the one given.
    pub(crate) async fn overdue(
        &self,
        before: OffsetDateTime,
        after: Option<Overdue>,
        limit: u32,
    ) -> Result<Vec<Overdue>, DerivedError> {
        const SQL: &str = "SELECT order_id, position, wake_at FROM wakeups \
             WHERE wake_at <= $1 AND (wake_at > $2 OR (wake_at = $2 AND order_id > $3)) \
             ORDER BY wake_at, order_id LIMIT $4";
        let (at, order) = after.map_or((i64::MIN, Uuid::nil()), |last| (last.wake_at, last.order.uuid()));
        let reading = async {
            let rows: Vec<(Uuid, i64, i64)> = either!(&mut self.derived.read().await?, tx => sqlx::query_as(SQL)
                .bind(to_micros(before)).bind(at).bind(order).bind(i64::from(limit)).fetch_all(&mut **tx).await?);
            Ok(rows)
        };
        let rows = self.derived.reading(reading).await?;
        let overdue = |(order, position, wake_at)| Overdue {
            order: OrderId::new(order),
            position: Position::from_sql(position),
            wake_at,
        };
        Ok(rows.into_iter().map(overdue).collect())
    }

    /// The place of the event that an order's row stands for; `None` if there is no row.
    pub(crate) async fn position(&self, order: OrderId) -> Result<Option<Position>, DerivedError> {
        const SQL: &str = "SELECT position FROM wakeups WHERE order_id = $1";
        let reading = async {
            let row: Option<i64> = either!(&mut self.derived.read().await?, tx => {
                sqlx::query_scalar(SQL).bind(order.uuid()).fetch_optional(&mut **tx).await?
            });
            Ok(row.map(Position::from_sql))
        };
        self.derived.reading(reading).await
    }

    /// Counts the unfinished orders.
    pub(crate) async fn census(&self) -> Result<Census, DerivedError> {
        const OPEN: &str = "SELECT COALESCE(status, 'PENDING') AS s, COUNT(*), COUNT(*) - COUNT(wake_at), MIN(wake_at) \
             FROM wakeups GROUP BY s";
        let reading = async {
            let rows: Vec<(String, i64, i64, Option<i64>)> = either!(&mut self.derived.read().await?, tx => {
                sqlx::query_as(OPEN).fetch_all(&mut **tx).await?
            });
            Ok(rows)
        };
        let rows = self.derived.reading(reading).await?;
        Ok(Census {
            parked: rows.iter().map(|(_, _, parked, _)| parked).sum(),
            earliest: rows
                .iter()
                .filter_map(|(.., earliest)| *earliest)
                .min()
                .map(from_micros),
            open: rows
                .into_iter()
                .map(|(status, count, ..)| (status, count))
                .collect(),
        })
    }
}

async fn write(tx: &mut Tx, entries: &[Entry]) -> Result<(), sqlx::Error> {
    let (done, open): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| entry.wants == Wants::Nothing);
    either!(tx, tx => {
        for part in parts(&open) {
            upsert(part).build().execute(&mut **tx).await?;
        }
        // Not prepared: a plan for it that was made while the table was small would read all of it later on.
        for chunk in done.chunks(CHUNK) {
            delete(chunk).build().persistent(false).execute(&mut **tx).await?;
        }
        Ok(())
    })
}

/// Rows never go back in the log, whoever writes them.
fn upsert<DB: Database>(open: &[&Entry]) -> QueryBuilder<DB>
where
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    Option<i64>: for<'q> Encode<'q, DB> + Type<DB>,
    Option<&'static str>: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut sql = QueryBuilder::new("INSERT INTO wakeups (order_id, position, wake_at, status) ");
    sql.push_values(open, |mut row, entry| {
        let wake_at = match entry.wants {
            Wants::Wake(at) => Some(to_micros(at)),
            Wants::Attention | Wants::Nothing => None,
        };
        row.push_bind(entry.order.uuid())
            .push_bind(entry.position.to_sql())
            .push_bind(wake_at)
            .push_bind(entry.status.map(Status::as_str));
    });
    sql.push(
        " ON CONFLICT (order_id) DO UPDATE SET position = excluded.position, wake_at = excluded.wake_at, \
         status = COALESCE(excluded.status, wakeups.status) WHERE wakeups.position < excluded.position",
    );
    sql
}

fn delete<DB: Database>(done: &[&Entry]) -> QueryBuilder<DB>
where
    Uuid: for<'q> Encode<'q, DB> + Type<DB>,
{
    let mut sql = QueryBuilder::new("DELETE FROM wakeups WHERE order_id IN (");
    let mut orders = sql.separated(", ");
    for entry in done {
        orders.push_bind(entry.order.uuid());
    }
    sql.push(")");
    sql
}
