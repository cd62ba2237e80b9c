//! Who is at the other end: found out once per request or connection, by whoever uses the transports.

use std::{any::Any, fmt, sync::Arc};

use async_graphql::Data;
use async_trait::async_trait;
use http::HeaderMap;

use crate::error::Refusal;

/// Finds out who sends a request.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    /// Judges the headers of a request. Those of a WebSocket are the upgrade's, with the members of the
    /// `connection_init` payload that are strings laid over them, under their names in lower case.
    ///
    /// # Errors
    /// A [`Refusal`], usually `UNAUTHENTICATED`; over a WebSocket it closes the connection with 4403.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Session, Refusal>;
}

/// An authenticated caller, as a value that resolvers find with `Context::data`.
#[derive(Clone)]
pub struct Session {
    caller: Arc<dyn Any + Send + Sync>,
    insert: fn(&Arc<dyn Any + Send + Sync>, &mut Data),
    key: Arc<str>,
}

impl Session {
    /// A session of `caller`. `key` names whose limits count, and goes into no reply.
    pub fn new<T: Clone + Send + Sync + 'static>(caller: T, key: impl Into<Arc<str>>) -> Self {
        Self {
            caller: Arc::new(caller),
            insert: insert::<T>,
            key: key.into(),
        }
    }

    /// The caller, if it is of this type.
    pub fn caller<T: 'static>(&self) -> Option<&T> {
        self.caller.downcast_ref()
    }

    /// Whose limits count.
    pub fn key(&self) -> &str {
        &self.key
    }

    pub(crate) fn data(&self) -> Data {
        let mut data = Data::default();
        (self.insert)(&self.caller, &mut data);
        data
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

fn insert<T: Clone + Send + Sync + 'static>(caller: &Arc<dyn Any + Send + Sync>, data: &mut Data) {
    if let Some(caller) = caller.downcast_ref::<T>() {
        data.insert(caller.clone());
    }
}
