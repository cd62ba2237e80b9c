//! The handle that every component of this crate works through.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    ahead::{Ahead, Finds},
    complaints::Complaints,
    connection::{Config, ConfigError, Connection, State},
    metrics::Metrics,
};

/// Two connections to NATS, one that publishes and one that consumes, so that neither waits behind the other.
#[derive(Clone)]
pub struct Bus(Arc<Inner>);

struct Inner {
    publish: Connection,
    consume: Connection,
    state: watch::Receiver<State>,
    metrics: Metrics,
    finds: Finds,
    tracker: TaskTracker,
    token: CancellationToken,
}

impl Bus {
    /// Begins to connect and returns at once, also while NATS is down; [`Bus::state`] tells how it goes.
    ///
    /// The bus' own tasks run on `tracker` until `token` is cancelled; give it the token that is cancelled last. If one
    /// of them ends before, so does the bus.
    pub async fn connect(
        config: Config,
        tracker: &TaskTracker,
        token: CancellationToken,
    ) -> Result<Bus, ConfigError> {
        let token = token.child_token();
        let complaints = Complaints::about(&config.url);
        let open = |purpose| Connection::open(&config, purpose, tracker, token.clone(), complaints.clone());
        let (publish, consume) = (open("publish").await?, open("consume").await?);
        let metrics = Metrics::default();
        let (sender, state) = watch::channel(State::Disconnected);
        let both = Both {
            publish: publish.state.clone(),
            consume: consume.state.clone(),
            state: sender,
        };
        tracker.spawn(vital(token.clone(), both.follow(metrics.clone(), token.clone())));
        let tracker = tracker.clone();
        Ok(Bus(Arc::new(Inner {
            publish,
            consume,
            state,
            metrics,
            finds: Finds::default(),
            tracker,
            token,
        })))
    }

    /// The state of both connections together: connected only while both are.
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state.clone()
    }

    /// What this process' relays have found in their streams that the log does not have: it was restored to an earlier
    /// state, or is another one. A stream that was found empty since is not among them.
    pub fn ahead(&self) -> Vec<Ahead> {
        self.0.finds.all()
    }

    /// Ends when the bus is stopped: by its token, or because one of its own tasks has ended by a fault. A process that
    /// did not ask for it hears nothing any more.
    pub fn closed(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.0.token.clone().cancelled_owned()
    }

    /// Makes the metrics of the bus and of all its components visible.
    pub fn register(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    pub(crate) fn publishing(&self) -> &Connection {
        &self.0.publish
    }

    pub(crate) fn consuming(&self) -> &Connection {
        &self.0.consume
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn finds(&self) -> &Finds {
        &self.0.finds
    }

    pub(crate) fn tracker(&self) -> &TaskTracker {
        &self.0.tracker
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.0.token
    }
}

/// Runs a task without which the bus is no use: however it ends, the bus is stopped.
pub(crate) async fn vital(token: CancellationToken, task: impl Future<Output = ()>) {
    let _token = token.drop_guard();
    task.await;
}

/// Joins the two connections' states into one.
struct Both {
    publish: watch::Receiver<State>,
    consume: watch::Receiver<State>,
    state: watch::Sender<State>,
}

impl Both {
    async fn follow(mut self, metrics: Metrics, token: CancellationToken) {
        loop {
            let publish = self.publish.borrow_and_update().clone();
            let consume = self.consume.borrow_and_update().clone();
            metrics.connection("publish", publish.is_connected());
            metrics.connection("consume", consume.is_connected());
            self.state.send_replace(together(publish, consume));
            tokio::select! {
                () = token.cancelled() => return,
                changed = self.publish.changed() => if changed.is_err() { return },
                changed = self.consume.changed() => if changed.is_err() { return },
            }
        }
    }
}

/// The lesser of the two.
fn together(one: State, other: State) -> State {
    match (&one, &other) {
        (State::Disconnected, _)
        | (State::Refused { .. }, State::Refused { .. } | State::Connected { .. }) => one,
        _ => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_stops_the_bus_and_nothing_above_it() {
        let (tracker, token) = (TaskTracker::new(), CancellationToken::new());
        let config = Config {
            url: "127.0.0.1:1".to_owned(),
            name: "test".to_owned(),
            ca: None,
        };
        let bus = Bus::connect(config, &tracker, token.clone()).await.unwrap();
        let closed = bus.closed();
        tokio::pin!(closed);
        assert!(futures::poll!(&mut closed).is_pending());
        tracker.spawn(vital(bus.token().clone(), async { panic!("a bug") }));
        closed.await;
        assert!(!token.is_cancelled());
        tracker.close();
        tracker.wait().await;
    }

    #[test]
    fn both_connections_are_needed_to_be_connected() {
        let [connected, refused] = ["2.15.1", "2.9.0"].map(str::to_owned);
        let connected = State::Connected { version: connected };
        let refused = State::Refused { version: refused };
        assert_eq!(
            together(connected.clone(), State::Disconnected),
            State::Disconnected
        );
        assert_eq!(
            together(State::Disconnected, connected.clone()),
            State::Disconnected
        );
        assert_eq!(together(refused.clone(), connected.clone()), refused);
        assert_eq!(together(connected.clone(), refused.clone()), refused);
        assert_eq!(together(refused, State::Disconnected), State::Disconnected);
        assert_eq!(together(connected.clone(), connected.clone()), connected);
    }
}
