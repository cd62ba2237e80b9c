//! What is wrong with a NATS server, told once though every attempt to connect finds the same.

use std::sync::{Arc, Mutex, PoisonError};

use async_nats::Event;
use tracing::warn;

use crate::address::without_credentials;

/// What was told last, by whichever connection of a bus found it first; clones tell for one another.
#[derive(Clone)]
pub(crate) struct Complaints {
    servers: Arc<str>,
    last: Arc<Mutex<String>>,
}

impl Complaints {
    /// About the servers of a URL, or of several with commas between them.
    pub(crate) fn about(urls: &str) -> Self {
        Self {
            servers: without_credentials(urls).into(),
            last: Arc::default(),
        }
    }

    /// Logs an error of the server or of the client, unless it was the last already.
    pub(crate) fn tell(&self, event: &Event) {
        if !self.is_new(event.to_string()) {
            return;
        }
        let servers = &*self.servers;
        if matches!(event, Event::ServerError(_)) {
            warn!(servers, reason = %event, "NATS refuses");
        } else {
            warn!(servers, reason = %event, "cannot connect to NATS; trying again");
        }
    }

    /// All is well again.
    pub(crate) fn forget(&self) {
        self.is_new(String::new());
    }

    fn is_new(&self, text: String) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last != text && {
            *last = text;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_new_once_until_all_was_well() {
        let one = Complaints::about("nats://me:secret@one:4222, two:4222");
        assert_eq!(&*one.servers, "nats://one:4222,two:4222");
        let other = one.clone();
        let refused = || "refused".to_owned();
        assert!(one.is_new(refused()));
        assert!(!other.is_new(refused()));
        assert!(other.is_new("too slow".to_owned()));
        assert!(one.is_new(refused()));
        other.forget();
        assert!(one.is_new(refused()));
    }
}
