//! From an HTTP request to a WebSocket.

use std::sync::Arc;

use axum::{
    Router,
    extract::{State, WebSocketUpgrade, ws::rejection::WebSocketUpgradeRejection},
    response::{IntoResponse, Response},
    routing::any,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;

use super::{TRANSPORT, close::Close, connection::Connection, message::Dialect};
use crate::{
    error::{Code, Refusal},
    http::{Rejection, json_type},
    subscribe::Subscribe,
    transport::Transport,
};

/// Enough for the usual message; a larger default is what makes many idle connections costly.
const READ_BUFFER: usize = 1024;
/// Written when so much has gathered, or when there is nothing more to gather.
const WRITE_BUFFER: usize = 16 * 1024;

pub(crate) fn router(transport: Transport, subscriptions: Arc<dyn Subscribe>) -> Router {
    transport.metrics().begin_streams(TRANSPORT);
    transport.metrics().begin_closes(Close::CODES);
    Router::new()
        .route("/graphql/ws", any(upgrade))
        .with_state((transport, subscriptions))
}

type Shared = (Transport, Arc<dyn Subscribe>);

async fn upgrade(
    State((transport, subscriptions)): State<Shared>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let admitted = admit(&transport, &headers, upgrade);
    let (upgrade, permit) = match admitted {
        Ok(admitted) => admitted,
        Err(rejection) => {
            transport.metrics().request(TRANSPORT, rejection.code().as_str());
            return rejection.into_response(json_type(), transport.settings().limits.errors);
        }
    };
    let limit = transport.settings().limits.body_bytes;
    let tracker = transport.tracker().clone();
    upgrade
        .protocols(Dialect::PROTOCOLS)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(limit)
        .max_frame_size(limit)
        .on_upgrade(move |socket| {
            // In a box, since a future keeps what it is given once more where it uses it.
            let mut connection = Box::new(Connection::new(socket, transport, subscriptions, headers));
            tracker.track_future(async move {
                connection.run().await;
                drop(permit);
            })
        })
        .into_response()
}

fn admit(
    transport: &Transport,
    headers: &HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<(WebSocketUpgrade, OwnedSemaphorePermit), Rejection> {
    let upgrade = upgrade.map_err(|_| {
        let refusal = Refusal::bad_input("This address speaks WebSocket only.")
            .hint("Connect with the sub-protocol graphql-transport-ws.");
        Rejection::new(StatusCode::UPGRADE_REQUIRED, refusal)
    })?;
    let origin = headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or_default());
    if !transport.settings().origins.allow(origin) {
        let refusal = Refusal::new(Code::Forbidden, "Pages of this origin may not connect.")
            .hint("Ask whoever runs this server to allow it.");
        return Err(refusal.into());
    }
    Ok((upgrade, transport.admit()?))
}

/// Lays the members of a `connection_init` payload that are strings over the headers. A browser can send no header
/// with a WebSocket.
pub(super) fn lay_over(headers: &mut HeaderMap, payload: &serde_json::Map<String, serde_json::Value>) {
    for (name, value) in payload {
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
            headers.insert(name, value);
        }
    }
}
