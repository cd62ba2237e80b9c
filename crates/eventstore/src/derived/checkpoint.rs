//! How far a follower has come: moved only from where it left it, so that of two followers one stops.

use bytes::Bytes;
use uuid::Uuid;

use super::{Derived, Tx};
use crate::{Cursor, DerivedError, Position, either};

const READ: &str = "SELECT position, event_id, note FROM checkpoints WHERE name = $1";
const MOVE: &str = "UPDATE checkpoints SET position = $1, event_id = $2, note = $3 \
     WHERE name = $4 AND position = $5 AND event_id = $6";
/// From the start there may be no row yet.
const BEGIN: &str = "INSERT INTO checkpoints (position, event_id, note, name) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (name) DO UPDATE SET position = excluded.position, event_id = excluded.event_id, note = excluded.note \
     WHERE checkpoints.position = $5 AND checkpoints.event_id = $6";

/// A follower's place in the log, and what else it has to remember with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checkpoint {
    /// The last event whose effect is in the derived tables.
    pub cursor: Cursor,
    /// Anything.
    pub note: Bytes,
}

impl Derived {
    /// Reads a checkpoint, and waits for nobody who writes; one that was never saved is at the start.
    ///
    /// # Errors
    /// The database does not answer.
    pub async fn checkpoint(&self, name: &str) -> Result<Checkpoint, DerivedError> {
        let reading = async {
            let row: Option<(i64, Uuid, Vec<u8>)> = either!(&mut self.read().await?, tx => {
                sqlx::query_as(READ).bind(name).fetch_optional(&mut **tx).await?
            });
            Ok(row)
        };
        let row = self.reading(reading).await?;
        Ok(
            row.map_or_else(Checkpoint::default, |(position, event_id, note)| Checkpoint {
                cursor: Cursor {
                    position: Position::from_sql(position),
                    event_id,
                },
                note: note.into(),
            }),
        )
    }

    /// Moves a checkpoint within the transaction that holds the effect of the events up to it.
    ///
    /// # Errors
    /// [`DerivedError::Fenced`] if it is not at `from`: another follower has moved it, so roll back and stop.
    pub async fn advance(
        tx: &mut Tx,
        name: &str,
        from: &Cursor,
        to: &Checkpoint,
    ) -> Result<(), DerivedError> {
        let statement = if *from == Cursor::START { BEGIN } else { MOVE };
        let moved = either!(tx, tx => sqlx::query(statement)
            .bind(to.cursor.position.to_sql())
            .bind(to.cursor.event_id)
            .bind(&*to.note)
            .bind(name)
            .bind(from.position.to_sql())
            .bind(from.event_id)
            .execute(&mut **tx)
            .await?
            .rows_affected());
        if moved == 1 {
            Ok(())
        } else {
            Err(DerivedError::Fenced(name.to_owned()))
        }
    }

    /// Moves a checkpoint where there is nothing else to write. Such a one need not be saved more often than every
    /// 500 ms.
    ///
    /// # Errors
    /// As [`Derived::advance`].
    pub async fn save(&self, name: &str, from: &Cursor, to: &Checkpoint) -> Result<(), DerivedError> {
        self.writing(async {
            let mut tx = self.begin().await?;
            Self::advance(&mut tx, name, from, to).await?;
            tx.commit().await
        })
        .await
    }
}
