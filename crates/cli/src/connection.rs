//! Waiting for a server that is away for a moment.

use std::time::{Duration, Instant};

use crate::{failure::Failure, output};

/// How long nobody may answer before we give up.
const PATIENCE: Duration = Duration::from_mins(1);

/// Whether the server answers, and what was told about it.
pub(crate) struct Connection {
    json: bool,
    /// When it was first asked.
    begun: Instant,
    /// When it was last known to be there: when it was first asked, if it has only been late.
    known: Option<Instant>,
    answered: bool,
    away: bool,
}

impl Connection {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            begun: Instant::now(),
            known: None,
            answered: false,
            away: false,
        }
    }

    /// It answers.
    pub(crate) fn is_there(&mut self) {
        self.known = Some(Instant::now());
        let answered = std::mem::replace(&mut self.answered, true);
        if std::mem::take(&mut self.away) {
            let news = if answered {
                "the connection is back"
            } else {
                "the service answers"
            };
            output::news(news, self.json);
        }
    }

    /// Fails if it is no use to try again: one that was there before may come back, and one that is late may be busy,
    /// but one that never was is probably another mistake.
    pub(crate) fn lost(&mut self, failure: Failure) -> Result<(), Failure> {
        self.known = self.known.or(failure.is_late().then_some(self.begun));
        let worth_it = self.known.is_some_and(|at| at.elapsed() < PATIENCE);
        if !failure.retryable() || !worth_it {
            return Err(failure);
        }
        if !std::mem::replace(&mut self.away, true) {
            let news = if self.answered {
                "connection lost, trying again"
            } else {
                "no answer yet, trying again"
            };
            output::news(news, self.json);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    fn unavailable() -> Failure {
        Failure::new(Exit::Unavailable, "nobody answers")
    }

    #[test]
    fn only_who_was_there_or_is_late_is_asked_again() {
        let mut connection = Connection::new(false);
        assert_eq!(connection.lost(unavailable()), Err(unavailable()));
        assert_eq!(connection.lost(unavailable().late()), Ok(()));
        connection.is_there();
        assert_eq!(connection.lost(unavailable()), Ok(()));
        let refused = || Failure::new(Exit::Refused, "no");
        assert_eq!(connection.lost(refused()), Err(refused()));
    }
}
