//! Whether the database answers and takes writes: what is told once when that ends, and once when it is so again.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::Fault;

/// What comes and goes within this is told once.
const QUIET: Duration = Duration::from_secs(10);

/// What is known of each schema that a process uses.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<Vec<Arc<Health>>>);

impl Schemas {
    /// Knows of a schema from now on; another one of the same name takes its place.
    pub(crate) fn add(&self, health: &Arc<Health>) {
        let mut schemas = self.lock();
        schemas.retain(|known| known.schema != health.schema);
        schemas.push(Arc::clone(health));
    }

    pub(crate) fn all(&self) -> Vec<Arc<Health>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Health>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the database from the last answers.
pub(crate) struct Health {
    /// Whose tables.
    schema: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// It does not answer.
    away: Trouble,
    /// It answers that it does not write.
    refuses: Trouble,
}

/// Something that is wrong, or not at the moment.
#[derive(Default)]
struct Trouble {
    fault: Option<Fault>,
    /// When it was last told of.
    told: Option<Instant>,
    /// Whether its end is to be told.
    pending: bool,
}

impl Trouble {
    /// Whether to tell of it.
    fn begins(&mut self, fault: &Fault) -> bool {
        self.fault = Some(fault.clone());
        let quiet = self.told.is_some_and(|told| told.elapsed() < QUIET);
        if self.pending || quiet {
            return false;
        }
        self.told = Some(Instant::now());
        self.pending = true;
        true
    }

    /// Whether to tell of it.
    fn ends(&mut self) -> bool {
        self.fault = None;
        mem::take(&mut self.pending)
    }
}

impl Health {
    pub(crate) fn of(schema: &'static str) -> Self {
        Self {
            schema,
            state: Mutex::default(),
        }
    }

    /// A read failed, or was refused. The next answer ends that; a refusal to write ends only with a write.
    pub(crate) fn unread(&self, fault: &Fault) {
        if fault.passes() {
            return self.failed(fault);
        }
        if self.state().away.begins(fault) {
            tracing::error!(schema = self.schema, error = %fault, "the database cannot be read; trying again");
        }
    }

    /// A write failed, or was refused, or a transaction that may be one.
    pub(crate) fn failed(&self, fault: &Fault) {
        let schema = self.schema;
        let mut state = self.state();
        if fault.passes() && !fault.is_read_only() {
            if state.away.begins(fault) {
                tracing::warn!(schema, error = %fault, "the database does not answer; trying again");
            }
        } else if state.refuses.begins(fault) {
            tracing::error!(schema, error = %fault, "the database refuses what is asked of it");
        }
    }

    /// The database answered.
    pub(crate) fn answered(&self) {
        if self.state().away.ends() {
            tracing::info!(schema = self.schema, "the database answers again");
        }
    }

    /// The database wrote.
    pub(crate) fn wrote(&self) {
        self.answered();
        if self.state().refuses.ends() {
            tracing::info!(schema = self.schema, "the database writes again");
        }
    }

    /// Whose tables.
    pub(crate) fn schema(&self) -> &'static str {
        self.schema
    }

    /// What keeps the database from being used, if anything does.
    pub(crate) fn trouble(&self) -> Option<Fault> {
        let state = self.state();
        state.away.fault.clone().or_else(|| state.refuses.fault.clone())
    }

    /// Whether the database answers, and whether it writes, as far as is known.
    pub(crate) fn is_well(&self) -> (bool, bool) {
        let state = self.state();
        (state.away.fault.is_none(), state.refuses.fault.is_none())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Fault {
        sqlx::Error::RowNotFound.into()
    }

    #[test]
    fn a_trouble_is_told_once_and_its_end_once() {
        let mut trouble = Trouble::default();
        assert!(!trouble.ends());
        assert!(trouble.begins(&full()));
        assert!(!trouble.begins(&full()));
        assert!(trouble.ends());
        assert!(!trouble.ends());
    }

    #[test]
    fn what_comes_again_at_once_is_not_told_until_it_lasts() {
        let mut trouble = Trouble::default();
        trouble.begins(&full());
        trouble.ends();
        assert!(!trouble.begins(&full()) && !trouble.ends());
        trouble.begins(&full());
        trouble.told = trouble.told.and_then(|told| told.checked_sub(QUIET));
        assert!(trouble.begins(&full()) && trouble.ends());
    }

    #[test]
    fn a_question_that_was_refused_is_no_refusal_to_write() {
        let health = Health::of("log");
        health.unread(&full());
        assert_eq!(health.is_well(), (false, true));
        health.answered();
        assert_eq!(health.is_well(), (true, true));
    }

    #[test]
    fn an_answer_ends_that_the_database_is_away_and_only_a_write_that_it_refuses_to() {
        let health = Health::of("log");
        health.failed(&full());
        health.failed(&Fault::timed_out());
        assert!(health.trouble().is_some_and(|fault| fault.passes()));
        assert_eq!(health.is_well(), (false, false));
        health.answered();
        assert!(health.trouble().is_some_and(|fault| !fault.passes()));
        assert_eq!(health.is_well(), (true, false));
        health.wrote();
        assert!(health.trouble().is_none());
        assert_eq!(health.is_well(), (true, true));
    }
}
