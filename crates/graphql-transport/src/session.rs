//! Who is at the other end: found out once per request or connection, by whoever uses the transports.

use std::{any::Any, fmt, pin::Pin, sync::Arc};

use async_graphql::Data;
use async_trait::async_trait;
use futures::future::OptionFuture;
use http::HeaderMap;
use tiffin_trace::Span;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::error::{Code, Refusal};

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

/// Knows callers by the key that they send in the header `x-api-key`.
#[derive(Clone, Debug)]
pub struct ApiKeys<F>(F);

impl<F: Fn(&str, &HeaderMap) -> Option<Session>> ApiKeys<F> {
    /// `session` answers for a key and the headers that came with it; none: the key is unknown or has expired.
    pub fn new(session: F) -> Self {
        Self(session)
    }
}

#[async_trait]
impl<F> Authenticate for ApiKeys<F>
where
    F: Fn(&str, &HeaderMap) -> Option<Session> + Send + Sync + 'static,
{
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Session, Refusal> {
        let key = headers.get("x-api-key").and_then(|value| value.to_str().ok());
        let key = key.ok_or_else(|| {
            Refusal::new(Code::Unauthenticated, "No API key was sent.")
                .hint("Send one in the header x-api-key.")
        })?;
        (self.0)(key, headers).ok_or_else(|| {
            Refusal::new(Code::Unauthenticated, "This API key is unknown or has expired.")
                .hint("Ask whoever runs this server for a valid key.")
        })
    }
}

/// Waits for the end of a session; none where it has no end.
pub(crate) type Revoked = OptionFuture<Pin<Box<WaitForCancellationFutureOwned>>>;

/// What a client is told whose session ended.
pub(crate) fn revoked() -> Refusal {
    Refusal::new(Code::Unauthenticated, "This credential is no longer accepted.")
        .hint("Connect again with one that is.")
}

/// An authenticated caller, as a value that resolvers find with `Context::data`.
#[derive(Clone)]
pub struct Session {
    caller: Arc<dyn Any + Send + Sync>,
    insert: fn(&Arc<dyn Any + Send + Sync>, &mut Data),
    revoked: Option<CancellationToken>,
    span: Span,
}

impl Session {
    /// A session of `caller`.
    pub fn new<T: Clone + Send + Sync + 'static>(caller: T) -> Self {
        Self {
            caller: Arc::new(caller),
            insert: insert::<T>,
            revoked: None,
            span: Span::default(),
        }
    }

    /// The same, until `revoked` is cancelled: then open connections are closed.
    #[must_use]
    pub fn until(self, revoked: CancellationToken) -> Self {
        Self {
            revoked: Some(revoked),
            ..self
        }
    }

    /// The same, whose request over HTTP is this span. A connection that stays open has none: what is sent over it
    /// belongs to the traces of what happened.
    #[must_use]
    pub fn within(self, span: Span) -> Self {
        Self { span, ..self }
    }

    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// The caller, if it is of this type.
    pub fn caller<T: 'static>(&self) -> Option<&T> {
        self.caller.downcast_ref()
    }

    /// Ends when the session does, if it ever does.
    pub(crate) fn revoked(&self) -> Revoked {
        let revoked = self.revoked.clone();
        revoked.map(|revoked| Box::pin(revoked.cancelled_owned())).into()
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
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

fn insert<T: Clone + Send + Sync + 'static>(caller: &Arc<dyn Any + Send + Sync>, data: &mut Data) {
    if let Some(caller) = caller.downcast_ref::<T>() {
        data.insert(caller.clone());
    }
}
