//! One subscriber: follows the newest order to its end, then the next, and comes back whenever its connection ends.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tiffin_testkit::{Received, SseStream, WebSocketClient};
use tokio_util::sync::CancellationToken;

use super::{book::Book, place::pause};
use crate::client::{After, Client, Outcome, judge};

/// Lives until no more orders are placed and the one that it follows is finished.
pub(super) async fn live(number: usize, client: Client, book: Arc<Book>, closed: CancellationToken) {
    let mut newest = book.newest();
    let mut last = None;
    while !closed.is_cancelled() {
        let fresh = newest.wait_for(|id| id.is_some() && *id != last);
        let Some(Ok(id)) = closed
            .run_until_cancelled(fresh)
            .await
            .map(|id| id.map(|id| id.clone()))
        else {
            return;
        };
        if let Some(id) = &id {
            follow(number, id, &client, &book).await;
        }
        last = id;
    }
}

/// Follows one order to its end.
async fn follow(number: usize, id: &str, client: &Client, book: &Book) {
    let mut seen = 0;
    let mut lost: Option<Duration> = None;
    loop {
        let mut screen = match Screen::open(number, id, seen, client).await {
            Ok(screen) => screen,
            Err(error) => {
                book.write().not_opened.add(book.now(), &format!("{error:#}"));
                pause().await;
                continue;
            }
        };
        {
            let (mut notes, now) = (book.write(), book.now());
            notes.connected += 1;
            if let Some(lost) = lost.take() {
                notes.reconnects.push(now);
                notes.longest_gap = notes.longest_gap.max(now.saturating_sub(lost));
            }
        }
        let complete = watch(&mut screen, id, &mut seen, book).await;
        book.write().connected -= 1;
        if complete {
            return;
        }
        lost = Some(book.now());
        pause().await;
    }
}

/// Notes what comes; whether the subscription completed.
async fn watch(screen: &mut Screen, id: &str, seen: &mut u32, book: &Book) -> bool {
    loop {
        match screen.next().await {
            Ok(Event::Update(version)) => {
                let (mut notes, now) = (book.write(), book.now());
                notes.updates += 1;
                let what = format!("order {id}: version {version} came after {seen}");
                if version <= *seen {
                    notes.twice.add(now, &what);
                } else if version != *seen + 1 {
                    notes.missing.add(now, &what);
                }
                *seen = version.max(*seen);
            }
            Ok(Event::Complete) => return true,
            // Whatever ended the connection, the rest is to come over the next.
            Err(_broken) => return false,
        }
    }
}

enum Event {
    Update(u32),
    Complete,
}

/// An open subscription.
enum Screen {
    Events(SseStream),
    Socket(Box<WebSocketClient>),
}

impl Screen {
    /// Subscribes to what comes after a version, every other subscriber over WebSocket.
    async fn open(number: usize, id: &str, seen: u32, client: &Client) -> Result<Self> {
        if number.is_multiple_of(2) {
            return Ok(Self::Events(client.watch(id, After::Version(seen)).await?));
        }
        Ok(Self::Socket(Box::new(client.watch_by_socket(id, seen).await?)))
    }

    async fn next(&mut self) -> Result<Event> {
        let result = match self {
            Self::Events(events) => {
                let event = events.next().await?.context("ended without being complete")?;
                match event.event.as_str() {
                    "next" => event.json()?,
                    "complete" => return Ok(Event::Complete),
                    other => bail!("an event {other:?}"),
                }
            }
            Self::Socket(socket) => match socket.next().await? {
                Received::Message(message) if message["type"] == "next" => message["payload"].clone(),
                Received::Message(message) if message["type"] == "complete" => return Ok(Event::Complete),
                other => bail!("{other:?}"),
            },
        };
        match judge(&result, "onOrderUpdated") {
            Outcome::Done(update) => Ok(Event::Update(version(&update)?)),
            other => bail!("{other:?}"),
        }
    }
}

fn version(update: &Value) -> Result<u32> {
    let version = update["version"]
        .as_u64()
        .context("an update without a version")?;
    Ok(version.try_into()?)
}
