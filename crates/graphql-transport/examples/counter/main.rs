//! All transports over a schema that counts: `cargo run -p tiffin-graphql-transport --example counter [ADDRESS]`.

mod schema;

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use tiffin_graphql_transport::{
    Authenticate, Engine, EngineSubscriptions, Refusal, Session, Settings, Transport,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

struct Anybody;

#[async_trait]
impl Authenticate for Anybody {
    async fn authenticate(&self, _headers: &HeaderMap) -> Result<Session, Refusal> {
        Ok(Session::new(schema::Caller("anybody".to_owned())))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:4000".to_owned());
    let engine = Engine::new(schema::builder(), Settings::default());
    let subscriptions = EngineSubscriptions::new(engine.clone());
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let transport = Transport::new(engine, Arc::new(Anybody), tracker.clone(), stop.clone());
    let router = transport
        .http()
        .merge(transport.ws(Arc::clone(&subscriptions) as _))
        .merge(transport.sse(subscriptions));
    let listener = tokio::net::TcpListener::bind(&address).await?;
    println!("http://{address}/graphql");
    let stopping = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopping.cancel();
        }
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await?;
    tracker.close();
    tracker.wait().await;
    Ok(())
}
