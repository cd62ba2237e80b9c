//! Keys that cease to be accepted while something is open that they opened.

use std::{fs, time::Duration};

use futures::future::join_all;
use serde_json::json;
use tiffin_graphql::Role;
use tiffin_runtime::{Secret, keys::line};
use tiffin_testkit::{GraphQl, Received, SseStream, WebSocketClient, scratch_folder};
use tokio::time::timeout;

use crate::{
    harness::{CUSTOMER, Notifier, WATCH, World, version},
    placed::Placed,
};

/// What a key opened: a WebSocket and a stream that watch the same order, its current version received.
struct Opened {
    socket: WebSocketClient,
    stream: SseStream,
}

impl Opened {
    async fn with(notifier: &Notifier, key: &str, order: &Placed) -> Self {
        let client = GraphQl::new(&notifier.url, key);
        let variables = json!({ "id": order.id.to_string() });
        let mut socket = client.websocket().await.unwrap();
        socket.subscribe("1", WATCH, variables.clone()).await.unwrap();
        assert!(matches!(socket.next().await.unwrap(), Received::Message(_)));
        let mut stream = client.subscribe(WATCH, variables, None).await.unwrap();
        assert_eq!(version(&mut stream).await, Some(1));
        Self { socket, stream }
    }

    async fn revoked(&mut self) {
        assert!(
            matches!(self.socket.next().await.unwrap(), Received::Closed(4403, reason) if !reason.is_empty())
        );
        let last = self.stream.next().await.unwrap().unwrap();
        assert_eq!(last.event, "next");
        let code = &last.json().unwrap()["errors"][0]["extensions"]["code"];
        assert_eq!(code, "UNAUTHENTICATED");
        assert!(self.stream.next().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn within_five_seconds_what_a_key_opened_ends_when_it_leaves_the_file_or_expires() {
    let [stays, goes, expires] = ["stays", "goes", "expires"].map(|name| format!("key-that-{name}"));
    let line = |key: &str| line(CUSTOMER, Role::Customer, &Secret::new(key));
    let file = scratch_folder("keys").join("keys");
    fs::write(
        &file,
        format!("{}\n{}\n{}\n", line(&stays), line(&goes), line(&expires)),
    )
    .unwrap();
    let world = World::start().await;
    let notifier = world.notifier_with_keys(Some(file.clone())).await;
    let mut order = world.place().await;
    let mut opened = Vec::new();
    for key in [&stays, &goes, &expires] {
        opened.push(Opened::with(&notifier, key, &order).await);
    }
    let past = "2020-01-01T00:00:00Z";
    fs::write(&file, format!("{}\n{} {past}\n", line(&stays), line(&expires))).unwrap();
    timeout(
        Duration::from_secs(5),
        join_all(opened[1..].iter_mut().map(Opened::revoked)),
    )
    .await
    .unwrap();
    order.advance().await;
    assert_eq!(version(&mut opened[0].stream).await, Some(2));
    assert!(matches!(
        opened[0].socket.next().await.unwrap(),
        Received::Message(_)
    ));
}
