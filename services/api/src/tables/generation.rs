//! Generations of the list: one is served, one may be being built, and what came before is deleted.

use sqlx::Executor;
use tiffin_eventstore::{Checkpoint, Cursor, Derived, DerivedError, either};

use super::{Row, Tables};

/// The log's positions whose obsolete rows are deleted at a time.
const STRETCH: i64 = 5_000;

/// One building of the list from the log's beginning; later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(pub(super) i32);

/// Which generations there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Generations {
    /// The one that is served.
    pub(crate) live: Generation,
    /// The one that is to take its place.
    pub(crate) building: Option<Generation>,
}

impl Generation {
    /// The generation with this id; one that cannot be is none that there is.
    pub(crate) fn from_id(id: u32) -> Self {
        Self(i32::try_from(id).unwrap_or(i32::MAX))
    }

    /// Its name outside.
    pub(crate) fn id(self) -> u32 {
        self.0.unsigned_abs()
    }

    /// The name of its checkpoint.
    pub(super) fn name(self) -> String {
        format!("orders-{}", self.0)
    }
}

impl Generations {
    /// Whether this generation is, or was, one of them.
    pub(crate) fn have_seen(&self, generation: Generation) -> bool {
        generation <= self.building.unwrap_or(self.live)
    }
}

impl Tables {
    /// Which generations there are.
    pub(crate) async fn generations(&self) -> Result<Generations, DerivedError> {
        const SQL: &str = "SELECT live, building FROM lists WHERE name = 'orders'";
        let reading = async {
            let row: (i32, Option<i32>) = either!(&mut self.derived.read().await?, tx => {
                sqlx::query_as(SQL).fetch_one(&mut **tx).await?
            });
            Ok(row)
        };
        let (live, building) = self.derived.reading(reading).await?;
        Ok(Generations {
            live: Generation(live),
            building: building.map(Generation),
        })
    }

    /// Wants a new generation to be built; the one that is being built already, if there is one.
    pub(crate) async fn begin_building(&self) -> Result<Generation, DerivedError> {
        const SQL: &str = "UPDATE lists SET building = COALESCE(building, live + 1) WHERE name = 'orders' RETURNING building";
        let beginning = async {
            let mut tx = self.derived.begin().await?;
            let building = either!(&mut tx, tx => sqlx::query_scalar(SQL).fetch_one(&mut **tx).await)?;
            tx.commit().await?;
            Ok(Generation(building))
        };
        self.derived.writing(beginning).await
    }

    /// Moves the generation that is being built on, as [`Tables::advance`] does, and serves it in place of the one
    /// before, unless that has come further: a list does not go back. Returns whether it is served.
    pub(crate) async fn replace(
        &self,
        generation: Generation,
        rows: &[Row],
        from: &Cursor,
        to: Cursor,
    ) -> Result<bool, DerivedError> {
        const SQL: &str = "UPDATE lists SET live = building, building = NULL WHERE name = 'orders' AND building = $1 \
             AND NOT EXISTS (SELECT * FROM checkpoints WHERE name = 'orders-' || live AND position > $2)";
        let last = self.write_all_but_last(generation, rows).await?;
        let replacing = async {
            let mut tx = self.write(generation, last).await?;
            if to != *from {
                let (cursor, note) = (to, bytes::Bytes::new());
                Derived::advance(&mut tx, &generation.name(), from, &Checkpoint { cursor, note }).await?;
            }
            let replaced = either!(&mut tx, tx => {
                let replace = sqlx::query(SQL).bind(generation.0).bind(to.position.to_sql());
                replace.execute(&mut **tx).await?.rows_affected()
            });
            tx.commit().await?;
            Ok(replaced == 1)
        };
        self.derived.writing(replacing).await
    }

    /// Serves a new generation, which is empty, in place of all there are.
    pub(crate) async fn begin_anew(&self) -> Result<(), DerivedError> {
        const SQL: &str =
            "UPDATE lists SET live = COALESCE(building, live) + 1, building = NULL WHERE name = 'orders'";
        let beginning = async {
            let mut tx = self.derived.begin().await?;
            either!(&mut tx, tx => tx.execute(SQL).await.map(drop))?;
            tx.commit().await
        };
        self.derived.writing(beginning).await
    }

    /// Deletes what obsolete generations have left, in small transactions.
    pub(crate) async fn clear(&self) -> Result<(), DerivedError> {
        while let Some((generation, first, last)) = self.obsolete().await? {
            let mut low = first;
            while low <= last {
                self.delete(generation, low, low + STRETCH).await?;
                low += STRETCH;
            }
        }
        Ok(())
    }

    /// An obsolete generation that has rows, and the numbers of the first and the last.
    pub(crate) async fn obsolete(&self) -> Result<Option<(Generation, i64, i64)>, DerivedError> {
        const FIRST: &str = "SELECT generation, number FROM orders \
             WHERE generation < (SELECT live FROM lists WHERE name = 'orders') ORDER BY generation, number LIMIT 1";
        const LAST: &str =
            "SELECT number FROM orders WHERE generation = $1 ORDER BY generation DESC, number DESC LIMIT 1";
        let looking = async {
            either!(&mut self.derived.read().await?, tx => {
                let Some((generation, first)) = sqlx::query_as(FIRST).fetch_optional(&mut **tx).await? else {
                    return Ok(None);
                };
                let last = sqlx::query_scalar(LAST).bind(generation).fetch_one(&mut **tx).await?;
                Ok(Some((Generation(generation), first, last)))
            })
        };
        self.derived.reading(looking).await
    }

    async fn delete(&self, generation: Generation, low: i64, high: i64) -> Result<(), DerivedError> {
        const ROWS: &str = "DELETE FROM orders WHERE generation = $1 AND number >= $2 AND number < $3";
        const CHECKPOINT: &str = "DELETE FROM checkpoints WHERE name = $1";
        let deleting = async {
            let mut tx = self.derived.begin().await?;
            either!(&mut tx, tx => {
                // Whoever still follows it is fenced off.
                sqlx::query(CHECKPOINT).bind(generation.name()).execute(&mut **tx).await?;
                sqlx::query(ROWS).bind(generation.0).bind(low).bind(high).persistent(false).execute(&mut **tx).await?;
            });
            tx.commit().await
        };
        self.derived.writing(deleting).await
    }
}
