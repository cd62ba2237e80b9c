//! Where subscriptions come from: whoever uses the transports, or the engine itself.

use std::sync::Arc;

use async_graphql::ServerError;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};

use crate::{documents::Prepared, engine::Engine, reply, session::Session};

/// One result of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// The JSON of the execution result: `{"data":…}`, in one line.
    pub payload: Bytes,
    /// Where a client that lost its connection may go on (SSE's `id`).
    pub id: Option<u64>,
}

/// A result of a subscription, or the errors by which it ends before its time: nothing follows those.
pub type Outcome = Result<Next, Vec<ServerError>>;

/// Answers subscriptions.
#[async_trait]
pub trait Subscribe: Send + Sync + 'static {
    /// Begins a subscription; its stream's end is its completion, unless an error came last. The operation has passed
    /// limits and validation, and its variables fit. `resume` is what the client says it saw last (`Last-Event-ID`),
    /// unchecked.
    ///
    /// # Errors
    /// The errors that end the subscription before it began, each with `extensions.code`.
    async fn subscribe(
        &self,
        operation: Prepared,
        session: Session,
        resume: Option<String>,
    ) -> Result<BoxStream<'static, Outcome>, Vec<ServerError>>;
}

/// Subscriptions as the engine carries them out, through the schema's own streams. They cannot be resumed.
///
/// With it any schema can be served, as the example and the tests do; a service with a cheaper way has its own.
#[derive(Clone, Debug)]
pub struct EngineSubscriptions(Engine);

impl EngineSubscriptions {
    /// Subscriptions of this engine's schema.
    pub fn new(engine: Engine) -> Arc<Self> {
        Arc::new(Self(engine))
    }
}

#[async_trait]
impl Subscribe for EngineSubscriptions {
    async fn subscribe(
        &self,
        operation: Prepared,
        session: Session,
        _resume: Option<String>,
    ) -> Result<BoxStream<'static, Outcome>, Vec<ServerError>> {
        let errors = self.0.settings().limits.errors;
        let mut stream = self.0.execute_stream(operation, &session);
        // A resolver that refuses answers once, without data, and that is an error of the subscription.
        let Some(first) = stream.next().await else {
            return Ok(futures::stream::empty().boxed());
        };
        if first.data == async_graphql::Value::Null && !first.errors.is_empty() {
            return Err(first.errors);
        }
        let all = futures::stream::iter([first]).chain(stream);
        Ok(all
            .map(move |response| {
                let payload = reply::render(response, errors);
                Ok(Next { payload, id: None })
            })
            .boxed())
    }
}
