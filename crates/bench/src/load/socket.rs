//! Subscribers over WebSocket: each a socket and a few bytes, so that ten thousand of them are no load of their own.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::AsyncWriteExt,
    sync::{Notify, mpsc::UnboundedSender},
    task::JoinHandle,
    time::{Instant, timeout},
};
use uuid::Uuid;

use super::frames::{CLOSE, Frames, TEXT, Writer, frame, holds, open};

/// How long updates may take that are waited for.
const PATIENCE: Duration = Duration::from_mins(2);

/// What all subscribers have received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    updates: AtomicU64,
    awaited: AtomicU64,
    /// What went wrong first with one of them.
    fault: OnceLock<String>,
    reached: Notify,
}

impl Received {
    fn one(&self) {
        let updates = self.updates.fetch_add(1, Ordering::Relaxed) + 1;
        if updates == self.awaited.load(Ordering::Relaxed) {
            self.reached.notify_waiters();
        }
    }

    fn failed(&self, error: &anyhow::Error) {
        self.fault.get_or_init(|| format!("{error:#}"));
        self.reached.notify_waiters();
    }

    /// How many updates there were.
    pub(crate) fn updates(&self) -> u64 {
        self.updates.load(Ordering::Relaxed)
    }

    /// Waits until there were so many.
    ///
    /// # Errors
    /// A subscriber was sent something else, or nothing for too long.
    pub(crate) async fn wait_for(&self, updates: u64) -> Result<()> {
        self.awaited.store(updates, Ordering::Relaxed);
        let reached = self.reached.notified();
        tokio::pin!(reached);
        reached.as_mut().enable();
        if self.updates() < updates && self.fault.get().is_none() {
            let waited = timeout(PATIENCE, reached).await;
            waited.with_context(|| format!("{} updates of {updates} came", self.updates()))?;
        }
        match self.fault.get() {
            Some(fault) => bail!("a subscriber: {fault}"),
            None => Ok(()),
        }
    }
}

/// One client; what it receives is taken in as long as it lives.
pub(crate) struct Subscriber {
    writer: Writer,
    reading: JoinHandle<()>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Subscriber {
    /// Connects; its updates, which are of one order, are counted.
    ///
    /// # Errors
    /// The server does not speak graphql-transport-ws, or does not know the key.
    pub(crate) async fn counting(address: SocketAddr, key: &str, received: Arc<Received>) -> Result<Self> {
        let (frames, writer) = open(address, key).await?;
        let reading = tokio::spawn(async move {
            let Err(error) = count(frames, &received).await;
            received.failed(&error);
        });
        Ok(Self { writer, reading })
    }

    /// Connects; `seen` gets which update came when, and at last what went wrong.
    ///
    /// # Errors
    /// As [`Subscriber::counting`].
    pub(crate) async fn noting(
        address: SocketAddr,
        key: &str,
        seen: UnboundedSender<Result<Seen>>,
    ) -> Result<Self> {
        let (frames, writer) = open(address, key).await?;
        let reading = tokio::spawn(async move {
            let Err(error) = look(frames, &seen).await;
            // Nobody looks at the screens any more.
            let _gone = seen.send(Err(error));
        });
        Ok(Self { writer, reading })
    }

    /// Watches an order, beside those it watches already: after this version, or from the present one on.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) async fn watch(&mut self, order: &str, after: Option<u32>) -> Result<()> {
        let subscribe = subscribe(order, after)?;
        Ok(self.writer.lock().await.write_all(&subscribe).await?)
    }
}

/// The versions of an order that a new connection is sent, up to the version `last`, and the connection.
///
/// # Errors
/// The server does not let the connection in, or ends it.
pub(crate) async fn versions(
    address: SocketAddr,
    key: &str,
    order: &str,
    after: Option<u32>,
    last: u32,
) -> Result<(Vec<u32>, Connection)> {
    let (mut frames, writer) = open(address, key).await?;
    writer.lock().await.write_all(&subscribe(order, after)?).await?;
    let mut versions = Vec::new();
    while versions.last().is_none_or(|version| *version < last) {
        let (kind, text) = frames.next().await?;
        match version(&text) {
            Some(version) => versions.push(version),
            None => ensure!(
                kind != CLOSE && kind != TEXT,
                "no update: {}",
                String::from_utf8_lossy(&text)
            ),
        }
    }
    Ok((versions, Connection(frames)))
}

/// When a version of an order was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Which order's.
    pub(crate) order: Uuid,
    /// Which.
    pub(crate) version: u32,
    /// When.
    pub(crate) at: Instant,
}

async fn look(mut frames: Frames, seen: &UnboundedSender<Result<Seen>>) -> Result<Infallible> {
    loop {
        let text = update(&mut frames).await?;
        let at = Instant::now();
        if let (Some(order), Some(version)) = (id(&text), version(&text)) {
            seen.send(Ok(Seen { order, version, at }))?;
        }
    }
}

/// The next message, if it is nothing that a subscriber must not be sent.
async fn update(frames: &mut Frames) -> Result<Vec<u8>> {
    let (kind, text) = frames.next().await?;
    let fault = kind == CLOSE || holds(&text, br#""errors":"#) || holds(&text, br#""type":"error""#);
    ensure!(!fault, "no update: {}", String::from_utf8_lossy(&text));
    Ok(text)
}

/// The id of the subscription, which is that of the order.
pub(crate) fn id(text: &[u8]) -> Option<Uuid> {
    const NAME: &[u8] = br#""id":""#;
    let at = text.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    Uuid::try_parse_ascii(text.get(at..at + 36)?).ok()
}

/// A connection that stays open until it is dropped.
pub(crate) struct Connection(#[expect(dead_code, reason = "held open")] Frames);

/// What watches an order from the version after `after` on, or from its present one.
pub(crate) fn subscribe(order: &str, after: Option<u32>) -> Result<Vec<u8>> {
    let after = after.map_or_else(String::new, |after| format!(r#","after":{after}"#));
    let subscribe = format!(
        r#"{{"id":"{order}","type":"subscribe","payload":{{"query":"subscription($id: ID!, $after: Int) {{ onOrderUpdated(id: $id, afterVersion: $after) {{ id status version updatedAt }} }}","variables":{{"id":"{order}"{after}}}}}}}"#
    );
    frame(TEXT, subscribe.as_bytes())
}

/// The version in an update.
pub(crate) fn version(text: &[u8]) -> Option<u32> {
    const NAME: &[u8] = br#""version":"#;
    let at = text.windows(NAME.len()).position(|window| window == NAME)?;
    let digits = text[at + NAME.len()..]
        .iter()
        .take_while(|digit| digit.is_ascii_digit());
    std::str::from_utf8(&digits.copied().collect::<Vec<u8>>())
        .ok()?
        .parse()
        .ok()
}

/// Counts updates of an order, each of the next version, until the connection ends.
async fn count(mut frames: Frames, received: &Received) -> Result<Infallible> {
    let mut last = None;
    loop {
        if let Some(version) = version(&update(&mut frames).await?) {
            ensure!(
                last.is_none_or(|last| version == last + 1),
                "version {version} came after {last:?}"
            );
            last = Some(version);
            received.one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_says_its_version() {
        assert_eq!(version(br#"{"status":"PAID","version":12,"id":"1"}"#), Some(12));
        assert_eq!(version(br#"{"type":"complete"}"#), None);
    }
}
