//! Finds out by API keys who subscribes.

use async_trait::async_trait;
use http::HeaderMap;
use tiffin_eventstore::EventStore;
use tiffin_graphql::{Caller, Principal, Role};
use tiffin_graphql_transport::{Authenticate, Code, Refusal, Session};
use tiffin_order::Owner;
use tiffin_runtime::{Holder, Keys};

/// The header, or the member of a WebSocket's `connection_init`, that carries the key.
const API_KEY: &str = "x-api-key";

/// The keys in force, judged by the database's clock.
pub(crate) struct ApiKeys {
    pub(crate) keys: Keys<Role>,
    pub(crate) store: EventStore,
}

#[async_trait]
impl Authenticate for ApiKeys {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Session, Refusal> {
        let secret = headers
            .get(API_KEY)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| {
                Refusal::new(Code::Unauthenticated, "No API key was sent.")
                    .hint("Send one in the header x-api-key.")
            })?;
        let Holder { name, role, revoked } = self.keys.holder(secret, self.store.now()).ok_or_else(|| {
            Refusal::new(Code::Unauthenticated, "This API key is unknown or has expired.")
                .hint("Ask whoever runs this server for a valid key.")
        })?;
        let owner = Owner::parse(&name).map_err(|invalid| {
            tracing::error!(holder = &*name, %invalid, "a key's holder cannot own orders");
            Refusal::new(Code::Internal, "This API key's holder has no valid name.")
        })?;
        let principal = Principal { owner, role };
        Ok(Session::new(
            Caller {
                principal,
                traceparent: None,
            },
            name,
        )
        .until(revoked))
    }
}
