//! Waiting for a server that is away for a moment.

use std::time::{Duration, Instant};

use crate::{failure::Failure, output};

/// How long nobody may answer before we give up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether the server answers, and what was told about it.
pub(crate) struct Connection {
    json: bool,
    /// When it answered last, if it did.
    answered: Option<Instant>,
    away: bool,
}

impl Connection {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            answered: None,
            away: false,
        }
    }

    /// It answers.
    pub(crate) fn is_there(&mut self) {
        self.answered = Some(Instant::now());
        if std::mem::take(&mut self.away) {
            output::news("the connection is back", self.json);
        }
    }

    /// Fails if it is no use to try again: one that was there before may come back, one that never was is probably
    /// another mistake.
    pub(crate) fn lost(&mut self, failure: Failure) -> Result<(), Failure> {
        let worth_it = self.answered.is_some_and(|at| at.elapsed() < PATIENCE);
        if !failure.retryable() || !worth_it {
            return Err(failure);
        }
        if !std::mem::replace(&mut self.away, true) {
            output::news("connection lost, trying again", self.json);
        }
        Ok(())
    }
}
