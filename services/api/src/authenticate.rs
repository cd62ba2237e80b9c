//! From an API key to the caller it stands for.

use async_trait::async_trait;
use axum::http::HeaderMap;
use tiffin_eventstore::EventStore;
use tiffin_graphql::{Caller, Principal, Role};
use tiffin_graphql_transport::{Authenticate, Code, Refusal, Session};
use tiffin_order::Owner;
use tiffin_runtime::{Holder, Keys, Sampler};

const HEADER: &str = "x-api-key";

/// Knows callers by their API keys.
pub(crate) struct ApiKeys {
    pub(crate) keys: Keys<Role>,
    /// Keys expire by the database's clock.
    pub(crate) store: EventStore,
    pub(crate) sampler: Sampler,
}

#[async_trait]
impl Authenticate for ApiKeys {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Session, Refusal> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let key = text(HEADER).ok_or_else(|| {
            Refusal::new(Code::Unauthenticated, "No API key was sent.")
                .hint("Send one in the header x-api-key.")
        })?;
        let Holder { name, role, revoked } = self.keys.holder(key, self.store.now()).ok_or_else(|| {
            Refusal::new(Code::Unauthenticated, "This API key is unknown or has expired.")
                .hint("Ask whoever runs this server for a valid key.")
        })?;
        let owner = Owner::parse(&name).map_err(|invalid| {
            tracing::error!(holder = &*name, %invalid, "a key's holder cannot own orders");
            Refusal::new(Code::Internal, "This API key's holder has no valid name.")
        })?;
        let traceparent = self.sampler.continue_or_start(text("traceparent")).to_string();
        let principal = Principal { owner, role };
        Ok(Session::new(
            Caller {
                principal,
                traceparent: Some(traceparent.into()),
            },
            name,
        )
        .until(revoked))
    }
}
