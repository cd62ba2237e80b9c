//! A subscription that fails after it began: it has not come to its end, and no client is told so.

use std::sync::Arc;

use async_graphql::ServerError;
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use serde_json::json;
use tiffin_graphql_transport::{
    Code, Engine, Next, Outcome, Prepared, Refusal, Session, Settings, Subscribe,
};

use crate::{client::Client, sse, support::Server, support::schema};

/// Has one result, and then fails.
struct Failing;

#[async_trait]
impl Subscribe for Failing {
    async fn subscribe(
        &self,
        _operation: Prepared,
        _session: Session,
        _resume: Option<String>,
    ) -> Result<BoxStream<'static, Outcome>, Vec<ServerError>> {
        let payload = Bytes::from_static(b"{\"data\":1}");
        let failure = Refusal::new(Code::Internal, "It broke.");
        Ok(stream::iter([Ok(Next { payload, id: None }), Err(failure.into())]).boxed())
    }
}

fn server() -> Server {
    let engine = Engine::new(schema::builder(), Settings::default());
    Server::over(engine, Arc::new(Failing))
}

const DOCUMENT: &str = "subscription { count(to: 2) }";

#[tokio::test]
async fn a_websocket_is_told_of_the_error_and_goes_on() {
    let mut client = Client::ready(&server()).await;
    for _ in 0..2 {
        client.subscribe("a", DOCUMENT).await;
        assert_eq!(client.hear_of("a").await, ("next".into(), json!({ "data": 1 })));
        let (kind, errors) = client.hear_of("a").await;
        assert_eq!(
            (&*kind, &errors[0]["extensions"]["code"]),
            ("error", &json!("INTERNAL"))
        );
    }
}

#[tokio::test]
async fn an_event_stream_ends_with_the_error_and_without_completion() {
    let events = sse::events(&server(), sse::get(DOCUMENT)).await;
    let (first, last) = events.split_once("\n\n").expect("two events");
    assert_eq!(first, "event: next\ndata: {\"data\":1}");
    assert!(last.starts_with("event: next\ndata: {\"errors\":[{"), "{last}");
    assert!(last.ends_with("}\n\n") && !last.contains("complete"), "{last}");
}
