//! Whether the database answers and takes writes: what is told once when that ends, and once when it is so again.

use std::{
    collections::BTreeMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use crate::Fault;

/// What comes and goes within this is told once.
const QUIET: Duration = Duration::from_secs(10);

/// What is known of the schemas that a process uses, for as long as it does.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<Vec<Weak<Health>>>);

impl Schemas {
    /// Another part of what is known of a schema.
    pub(crate) fn add(&self, health: &Arc<Health>) {
        self.lock().push(Arc::downgrade(health));
    }

    /// What keeps a schema from being used, for each of which that is known.
    pub(crate) fn troubles(&self) -> BTreeMap<&'static str, Fault> {
        let parts = self.parts();
        let troubles = parts
            .iter()
            .filter_map(|health| Some((health.schema, health.trouble()?)));
        troubles.collect()
    }

    /// Whether the database answers and whether it writes, as far as is known, for each schema.
    pub(crate) fn are_well(&self) -> BTreeMap<&'static str, (bool, bool)> {
        let mut schemas = BTreeMap::new();
        for health in self.parts() {
            let (up, writable) = health.is_well();
            let schema = schemas.entry(health.schema).or_insert((true, true));
            *schema = (schema.0 && up, schema.1 && writable);
        }
        schemas
    }

    fn parts(&self) -> Vec<Arc<Health>> {
        let mut parts = self.lock();
        parts.retain(|part| part.strong_count() > 0);
        parts.iter().filter_map(Weak::upgrade).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Health>>> {
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

    /// A read failed, or was refused. The next answer ends that; whether anything is written does not follow from it.
    pub(crate) fn unread(&self, fault: &Fault) {
        if !self.state().away.begins(fault) {
            return;
        }
        if fault.is_answer() {
            tracing::error!(schema = self.schema, error = %fault, "the database cannot be read");
        } else {
            tracing::warn!(schema = self.schema, error = %fault, "the database does not answer");
        }
    }

    /// A write failed, or was refused. A refusal ends only with a write.
    pub(crate) fn failed(&self, fault: &Fault) {
        if !fault.is_answer() {
            self.unread(fault);
        } else if self.state().refuses.begins(fault) {
            tracing::error!(schema = self.schema, error = %fault, "the database refuses what is asked of it");
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
    fn a_schema_is_well_when_all_that_is_known_of_it_is() {
        let schemas = Schemas::default();
        let (rows, leases) = (Arc::new(Health::of("api")), Arc::new(Health::of("api")));
        schemas.add(&rows);
        schemas.add(&leases);
        rows.failed(&full());
        leases.wrote();
        assert_eq!(schemas.are_well(), BTreeMap::from([("api", (true, false))]));
        assert_eq!(schemas.troubles().len(), 1);
        drop(rows);
        assert_eq!(schemas.are_well(), BTreeMap::from([("api", (true, true))]));
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
