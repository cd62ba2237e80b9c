//! The operations that run on one WebSocket.

use std::{collections::HashMap, sync::Arc};

use async_graphql::ServerError;
use bytes::Bytes;
use futures::{
    FutureExt, Stream, StreamExt,
    future::ready,
    stream::{self, AbortHandle, BoxStream, SelectAll},
};

use crate::operation::Begun;

/// What an operation has to say.
#[derive(Debug)]
pub(super) enum Event {
    Next(Bytes),
    Complete,
    Failed(Vec<ServerError>),
}

/// Operations by their id. Each gets its turn when it has something to say.
#[derive(Default)]
pub(super) struct Operations {
    events: SelectAll<BoxStream<'static, (Arc<str>, Event)>>,
    running: HashMap<Arc<str>, AbortHandle>,
}

impl Operations {
    pub(super) fn len(&self) -> usize {
        self.running.len()
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.running.contains_key(id)
    }

    /// Runs an operation under an id that is not in use. Nothing of it runs before [`Self::next`] is polled.
    /// `held` is dropped when it ends.
    pub(super) fn start(
        &mut self,
        id: &str,
        begin: impl Future<Output = Begun> + Send + 'static,
        held: impl Send + 'static,
    ) {
        let id: Arc<str> = Arc::from(id);
        // In a box of its own, since what beginning needs would stay for as long as the operation runs.
        let (events, handle) = stream::abortable(events(begin.boxed()));
        self.running.insert(Arc::clone(&id), handle);
        self.events.push(
            events
                .map(move |event| {
                    let _ = &held;
                    (Arc::clone(&id), event)
                })
                .boxed(),
        );
    }

    /// Ends an operation without a word, as its client asks for.
    pub(super) fn stop(&mut self, id: &str) {
        if let Some(handle) = self.running.remove(id) {
            handle.abort();
        }
    }

    /// The next event; pending for ever while nothing runs. Cancel-safe.
    pub(super) async fn next(&mut self) -> (Arc<str>, Event) {
        match self.events.next().await {
            Some((id, event)) => {
                if !matches!(event, Event::Next(_)) {
                    // Nothing follows, not even the completion of what failed.
                    self.stop(&id);
                }
                (id, event)
            }
            None => std::future::pending().await,
        }
    }

    /// An event that is there already.
    pub(super) fn ready(&mut self) -> Option<(Arc<str>, Event)> {
        self.next().now_or_never()
    }
}

fn events(begin: impl Future<Output = Begun> + Send + 'static) -> impl Stream<Item = Event> + Send + 'static {
    begin
        .map(|begun| match begun {
            Ok(results) => results
                .map(|outcome| match outcome {
                    Ok(next) => Event::Next(next.payload),
                    Err(errors) => Event::Failed(errors),
                })
                .chain(stream::once(ready(Event::Complete)))
                .left_stream(),
            Err(errors) => stream::once(ready(Event::Failed(errors))).right_stream(),
        })
        .flatten_stream()
}
