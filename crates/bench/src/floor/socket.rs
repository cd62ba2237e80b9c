//! A bare axum server of sockets, which sends each of them some frames when it is told: `tiffin-bench` started with
//! `--push PORT`.

use std::net::Ipv4Addr;

use anyhow::Result;
use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::Response,
    routing::{get, post},
};
use tokio::{net::TcpListener, sync::watch};

/// How the process is told to be this server.
pub(crate) const ARGUMENT: &str = "--push";
/// How many frames each socket is sent: as many as an order has changes after it was placed.
pub(crate) const FRAMES: u64 = 4;

/// What an update of an order looks like on the wire.
macro_rules! update {
    ($version:literal) => {
        Utf8Bytes::from_static(concat!(
            r#"{"id":"0197f3a2-7c1e-7d4b-9a53-2f6b8c0d1e4f","type":"next","payload":{"data":{"onOrderUpdated":{"id":"0197f3a2-7c1e-7d4b-9a53-2f6b8c0d1e4f","status":"PREPARING","version":"#,
            $version,
            r#","updatedAt":"2026-01-01T12:00:00.000Z"}}}}"#
        ))
    };
}
/// As many as [`FRAMES`].
pub(crate) const UPDATES: [Utf8Bytes; 4] = [update!(2), update!(3), update!(4), update!(5)];
const ACKNOWLEDGED: Utf8Bytes = Utf8Bytes::from_static(r#"{"type":"connection_ack"}"#);

/// Serves until the process is killed.
///
/// # Errors
/// The port is in use.
pub(crate) async fn serve(port: u16) -> Result<()> {
    let rounds = watch::Sender::new(0_u64);
    let router = Router::new()
        .route("/graphql/ws", get(upgrade))
        .route("/push", post(push))
        .with_state(rounds);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    Ok(axum::serve(listener, router).await?)
}

async fn push(State(rounds): State<watch::Sender<u64>>) {
    rounds.send_modify(|round| *round += 1);
}

async fn upgrade(State(rounds): State<watch::Sender<u64>>, upgrade: WebSocketUpgrade) -> Response {
    let rounds = rounds.subscribe();
    let upgrade = upgrade.read_buffer_size(2048).write_buffer_size(0);
    upgrade
        .protocols(["graphql-transport-ws"])
        .on_upgrade(|socket| async {
            // It ends when the client goes.
            let _gone = send(socket, rounds).await;
        })
}

async fn send(mut socket: WebSocket, mut rounds: watch::Receiver<u64>) -> Result<()> {
    socket.recv().await;
    socket.send(Message::Text(ACKNOWLEDGED)).await?;
    loop {
        tokio::select! {
            changed = rounds.changed() => changed?,
            _gone = socket.recv() => return Ok(()),
        }
        for update in UPDATES {
            socket.send(Message::Text(update)).await?;
        }
    }
}
