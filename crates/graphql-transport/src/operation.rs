//! Begins an operation that came over a transport for subscriptions.

use async_graphql::{ServerError, parser::types::OperationType};
use futures::{StreamExt, future::ready, stream, stream::BoxStream};

use crate::{
    error::{Code, Refusal},
    reply,
    request::GraphqlRequest,
    session::Session,
    subscribe::{Next, Outcome, Subscribe},
    transport::Transport,
};

/// The results of a running operation, or the errors that kept it from running.
pub(crate) type Begun = Result<BoxStream<'static, Outcome>, Vec<ServerError>>;

/// Begins a subscription, or answers a question about the schema.
pub(crate) async fn begin(
    transport: &Transport,
    name: &'static str,
    subscriptions: &dyn Subscribe,
    request: GraphqlRequest,
    session: Session,
    resume: Option<String>,
) -> Begun {
    let begun = try_begin(transport, subscriptions, request, session, resume).await;
    let code = match &begun {
        Ok(_) => "OK",
        Err(errors) => errors
            .first()
            .and_then(reply::code)
            .unwrap_or(Code::BadUserInput.as_str()),
    };
    transport.metrics().request(name, code);
    begun
}

async fn try_begin(
    transport: &Transport,
    subscriptions: &dyn Subscribe,
    request: GraphqlRequest,
    session: Session,
    resume: Option<String>,
) -> Begun {
    let engine = transport.engine();
    let operation = engine.prepare(request).await?;
    if operation.kind() == OperationType::Subscription {
        return subscriptions.subscribe(operation, session, resume).await;
    }
    if !operation.is_introspection() {
        let message = "This address answers subscriptions only.";
        return Err(Refusal::new(Code::SubscriptionsOnly, message).into());
    }
    let response = engine.execute(operation, &session).await;
    let payload = reply::render(response, engine.settings().limits.errors);
    Ok(stream::once(ready(Ok(Next { payload, id: None }))).boxed())
}
