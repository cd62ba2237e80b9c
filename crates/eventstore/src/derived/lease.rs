//! Leases: who works at the moment, so that others need not. They save work; what keeps it right are the fences.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Derived, Tx};
use crate::{DerivedError, Fault, either, event::to_micros};

/// How long a lease lasts after it was last renewed.
const TERM: Duration = Duration::from_millis(1_500);
/// How often it is renewed, or asked for.
const RENEWAL: Duration = Duration::from_millis(500);

macro_rules! take {
    ($now:literal) => {
        concat!(
            "INSERT INTO leases (name, holder, expires_at) SELECT $1, $2, now + 1500000 FROM (SELECT ",
            $now,
            " AS now) clock WHERE true ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, ",
            "expires_at = excluded.expires_at ",
            "WHERE leases.holder = excluded.holder OR leases.expires_at <= excluded.expires_at - 1500000"
        )
    };
}

const TAKE_SQLITE: &str = take!("$3");
const TAKE_POSTGRES: &str = take!("(extract(epoch FROM clock_timestamp()) * 1000000)::bigint");
const GIVE_BACK: &str = "DELETE FROM leases WHERE name = $1 AND holder = $2";

/// Whether this process holds a lease. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Lease {
    held: watch::Receiver<bool>,
    until: Arc<Mutex<Option<Instant>>>,
}

impl Lease {
    /// Whether the lease is held now: also false when this process slept and could not renew it.
    pub fn held(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// Has `keep` work whenever the lease is held, until `token` is cancelled. Each time that it is lost, `keep` is dropped
    /// where it stands, and `lost` called.
    pub async fn while_held<F: Future<Output = ()>>(
        self,
        token: CancellationToken,
        keep: impl Fn() -> F,
        lost: impl Fn(),
    ) {
        let keeping = async {
            let mut held = self.watch();
            while held.wait_for(|held| *held).await.is_ok() {
                tokio::select! {
                    _ = held.wait_for(|held| !held) => {}
                    () = keep() => {}
                }
                lost();
            }
        };
        token.run_until_cancelled(keeping).await;
    }

    /// Changes when the lease is taken or lost. Ends with `false` when nobody asks for the lease any more.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.held.clone()
    }
}

impl Derived {
    /// Asks for a lease, again and again, and keeps it until it is cancelled, when it is given back. `holder` must
    /// be different in every process.
    pub fn lease(&self, name: &str, holder: String, tasks: &TaskTracker, stop: CancellationToken) -> Lease {
        let (held, receiver) = watch::channel(false);
        let until = Arc::new(Mutex::new(None));
        let lease = Lease {
            held: receiver,
            until: Arc::clone(&until),
        };
        let keeper = Keeper {
            derived: self.clone(),
            name: name.to_owned(),
            holder,
            held,
            until,
        };
        tasks.spawn(keeper.keep(stop));
        lease
    }
}

struct Keeper {
    derived: Derived,
    name: String,
    holder: String,
    held: watch::Sender<bool>,
    until: Arc<Mutex<Option<Instant>>>,
}

/// However it ends: a lease that nobody keeps is lost.
impl Drop for Keeper {
    fn drop(&mut self) {
        self.publish(None);
    }
}

impl Keeper {
    async fn keep(self, stop: CancellationToken) {
        let mut until = None;
        loop {
            let asked = Instant::now();
            // Whoever holds the lease knows by its end whether it was renewed.
            match timeout_at(until.unwrap_or(asked + TERM), self.take()).await {
                Ok(Ok(taken)) => {
                    self.derived.leases.wrote();
                    until = taken.then(|| asked + TERM);
                }
                Ok(Err(DerivedError::Unavailable(fault))) => self.derived.leases.failed(&fault),
                // That is of checkpoints.
                Ok(Err(DerivedError::Fenced(_))) => {}
                Err(_) => self.derived.leases.failed(&Fault::timed_out()),
            }
            until = until.filter(|until| Instant::now() < *until);
            self.publish(until);
            let again = Instant::now() + RENEWAL;
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep_until(until.map_or(again, |until| until.min(again))) => {}
            }
        }
        self.publish(None);
        if until.is_some() {
            // If this fails the lease ends by itself.
            let _ = timeout(TERM, self.give_back()).await;
        }
    }

    fn publish(&self, until: Option<Instant>) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
        let held = until.is_some();
        if self
            .held
            .send_if_modified(|was| std::mem::replace(was, held) != held)
        {
            tracing::info!(lease.name = self.name, lease.held = held, "the lease has changed");
        }
    }

    async fn take(&self) -> Result<bool, DerivedError> {
        let mut tx = self.derived.begin().await?;
        let rows = match &mut tx {
            Tx::Sqlite(tx) => {
                let now = to_micros(self.derived.clock.now());
                let take = sqlx::query(TAKE_SQLITE)
                    .bind(&self.name)
                    .bind(&self.holder)
                    .bind(now);
                take.execute(&mut **tx).await?.rows_affected()
            }
            Tx::Postgres(tx) => {
                let take = sqlx::query(TAKE_POSTGRES).bind(&self.name).bind(&self.holder);
                take.execute(&mut **tx).await?.rows_affected()
            }
        };
        tx.commit().await?;
        Ok(rows == 1)
    }

    async fn give_back(&self) -> Result<(), DerivedError> {
        let mut tx = self.derived.begin().await?;
        either!(&mut tx, tx => {
            let give = sqlx::query(GIVE_BACK).bind(&self.name).bind(&self.holder);
            give.execute(&mut **tx).await?;
        });
        tx.commit().await
    }
}
