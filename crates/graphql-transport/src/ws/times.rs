//! When something is due on a connection.

use std::time::Duration;

use tokio::time::Instant;

use crate::settings::StreamSettings;

/// What a connection waits for besides its client and its operations.
#[derive(Debug)]
pub(super) struct Times {
    /// The client must be authenticated by then; none: it is.
    init: Option<Instant>,
    ping: Instant,
    ping_interval: Duration,
    /// When anything was last heard from the client.
    heard: Instant,
    dead_after: Duration,
    /// When the connection is to be closed because the service stops.
    leave: Option<Instant>,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Ping,
    /// The client was not authenticated in time.
    Init,
    /// Nothing was heard from the client for too long.
    Dead,
    /// The connection's time to be closed has come.
    Leave,
}

impl Times {
    pub(super) fn new(now: Instant, streams: &StreamSettings) -> Self {
        Self {
            init: Some(now + streams.init_timeout),
            ping: now + streams.ping_interval,
            ping_interval: streams.ping_interval,
            heard: now,
            dead_after: streams.dead_after,
            leave: None,
        }
    }

    /// When to look again at what is due, at the latest.
    pub(super) fn next(&self) -> Instant {
        let always = self.ping.min(self.heard + self.dead_after);
        [self.init, self.leave]
            .into_iter()
            .flatten()
            .fold(always, Instant::min)
    }

    /// What is due now. A ping is due once.
    pub(super) fn due(&mut self, now: Instant) -> Due {
        if self.leave.is_some_and(|leave| leave <= now) {
            Due::Leave
        } else if self.init.is_some_and(|init| init <= now) {
            Due::Init
        } else if self.heard + self.dead_after <= now {
            Due::Dead
        } else if self.ping <= now {
            self.ping = now + self.ping_interval;
            Due::Ping
        } else {
            Due::Nothing
        }
    }

    pub(super) fn init(&self) -> Option<Instant> {
        self.init
    }

    pub(super) fn authenticated(&mut self) {
        self.init = None;
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
    }

    pub(super) fn leaving(&self) -> bool {
        self.leave.is_some()
    }

    pub(super) fn leave(&mut self, at: Instant) {
        self.leave = Some(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_due_at_its_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut times = Times::new(start, &StreamSettings::default());
        assert_eq!((times.next(), times.due(at(4))), (at(5), Due::Nothing));
        assert_eq!(times.due(at(5)), Due::Init);
        times.authenticated();
        assert_eq!((times.next(), times.due(at(15))), (at(15), Due::Ping));
        assert_eq!((times.next(), times.due(at(16))), (at(30), Due::Nothing));
        times.heard(at(20));
        assert_eq!(
            (times.due(at(30)), times.due(at(49)), times.next()),
            (Due::Ping, Due::Ping, at(50))
        );
        assert_eq!(times.due(at(50)), Due::Dead);
        times.leave(at(40));
        assert_eq!((times.next(), times.due(at(50))), (at(40), Due::Leave));
    }
}
