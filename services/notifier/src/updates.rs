//! Answers subscriptions by plans and slots instead of streams in the engine.

use async_graphql::{ErrorExtensions, Pos, ServerError};
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use tiffin_graphql::{Caller, Error, ErrorCode};
use tiffin_graphql_transport::{Outcome, Prepared, Session, Subscribe};
use tiffin_trace::Tracer;
use tokio_util::sync::DropGuard;

use crate::{hub::Hub, metrics::Metrics, plan::Plan, snapshots::Snapshots, watch::Watch};

/// The subscriptions of this process.
pub(crate) struct Updates {
    pub(crate) hub: Hub,
    pub(crate) snapshots: Snapshots,
    pub(crate) metrics: Metrics,
    pub(crate) tracer: Tracer,
    /// Tells the feed when nobody is served any more.
    pub(crate) _serving: DropGuard,
}

#[async_trait]
impl Subscribe for Updates {
    async fn subscribe(
        &self,
        operation: Prepared,
        session: Session,
        resume: Option<String>,
    ) -> Result<BoxStream<'static, Outcome>, Vec<ServerError>> {
        let watch = self.watch(&operation, &session, resume.as_deref()).await;
        let watch = watch.map_err(|error| refusal(&error))?;
        Ok(watch.messages().map_err(|error| refusal(&error)).boxed())
    }
}

/// The error as one of the request: no field was executed, so it has no place.
fn refusal(error: &Error) -> Vec<ServerError> {
    let mut refusal = error.extend().into_server_error(Pos::default());
    refusal.locations.clear();
    vec![refusal]
}

impl Updates {
    async fn watch(
        &self,
        operation: &Prepared,
        session: &Session,
        resume: Option<&str>,
    ) -> Result<Watch, Error> {
        let caller: &Caller = session.caller().ok_or(ErrorCode::Unauthenticated)?;
        let mut plan = Plan::compile(operation.document(), operation.operation(), operation.variables())?;
        plan.resume(resume);
        let Self {
            hub,
            snapshots,
            metrics,
            tracer,
            ..
        } = self;
        Watch::open(plan, &caller.principal, hub, snapshots, metrics, tracer).await
    }
}
