//! Subscribers over WebSocket: each a socket and a few bytes, so that ten thousand of them are no load of their own.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::{Mutex, Notify, mpsc::UnboundedSender},
    time::Instant,
};
use uuid::Uuid;

/// What all subscribers have received.
#[derive(Debug, Default)]
pub(crate) struct Received {
    updates: AtomicU64,
    awaited: AtomicU64,
    reached: Notify,
}

impl Received {
    fn one(&self) {
        let updates = self.updates.fetch_add(1, Ordering::Relaxed) + 1;
        if updates == self.awaited.load(Ordering::Relaxed) {
            self.reached.notify_waiters();
        }
    }

    /// How many updates there were.
    pub(crate) fn updates(&self) -> u64 {
        self.updates.load(Ordering::Relaxed)
    }

    /// Waits until there were so many.
    pub(crate) async fn wait_for(&self, updates: u64) {
        self.awaited.store(updates, Ordering::Relaxed);
        let reached = self.reached.notified();
        tokio::pin!(reached);
        reached.as_mut().enable();
        if self.updates() < updates {
            reached.await;
        }
    }
}

/// One client; what it receives is taken in as long as it lives.
pub(crate) struct Subscriber {
    writer: Writer,
    reading: tokio::task::JoinHandle<Result<()>>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Subscriber {
    /// Connects; its updates are counted.
    ///
    /// # Errors
    /// The server does not speak graphql-transport-ws, or does not know the key.
    pub(crate) async fn counting(address: SocketAddr, key: &str, received: Arc<Received>) -> Result<Self> {
        let (frames, writer) = open(address, key).await?;
        let reading = tokio::spawn(count(frames, received));
        Ok(Self { writer, reading })
    }

    /// Connects; `seen` gets which update came when.
    ///
    /// # Errors
    /// As [`Subscriber::counting`].
    pub(crate) async fn noting(address: SocketAddr, key: &str, seen: UnboundedSender<Seen>) -> Result<Self> {
        let (frames, writer) = open(address, key).await?;
        let reading = tokio::spawn(look(frames, seen));
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

async fn look(mut frames: Frames, seen: UnboundedSender<Seen>) -> Result<()> {
    loop {
        let (kind, text) = frames.next().await?;
        let at = Instant::now();
        ensure!(
            kind != CLOSE && !holds(&text, br#""errors":"#),
            "{}",
            String::from_utf8_lossy(&text)
        );
        if let (Some(order), Some(version)) = (id(&text), version(&text)) {
            seen.send(Seen { order, version, at })?;
        }
    }
}

/// The id of the subscription, which is that of the order.
pub(crate) fn id(text: &[u8]) -> Option<Uuid> {
    const NAME: &[u8] = br#""id":""#;
    let at = text.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    Uuid::try_parse_ascii(text.get(at..at + 36)?).ok()
}

/// A connection that stays open until it is dropped.
pub(crate) struct Connection(#[expect(dead_code, reason = "held open")] Frames);

/// The writing side, which answers pings too.
type Writer = Arc<Mutex<WriteHalf<TcpStream>>>;

async fn open(address: SocketAddr, key: &str) -> Result<(Frames, Writer)> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (reader, writer) = tokio::io::split(stream);
    let writer = Arc::new(Mutex::new(writer));
    let upgrade = "GET /graphql/ws HTTP/1.1\r\nhost: bench\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
    writer.lock().await.write_all(upgrade.as_bytes()).await?;
    let mut frames = Frames {
        reader,
        writer: Arc::clone(&writer),
        buffer: Vec::with_capacity(512),
    };
    frames.upgraded().await?;
    let init = format!(r#"{{"type":"connection_init","payload":{{"x-api-key":"{key}"}}}}"#);
    let init = frame(TEXT, init.as_bytes())?;
    writer.lock().await.write_all(&init).await?;
    let (_, acknowledged) = frames.next().await?;
    ensure!(holds(&acknowledged, b"connection_ack"), "no acknowledgement");
    Ok((frames, writer))
}

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

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Counts updates until the connection ends.
async fn count(mut frames: Frames, received: Arc<Received>) -> Result<()> {
    loop {
        match frames.next().await? {
            (TEXT, text) if holds(&text, br#""type":"next""#) => received.one(),
            (CLOSE, reason) => bail!("closed: {}", String::from_utf8_lossy(&reason)),
            _ => {}
        }
    }
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// The frames that a server sends: whole and without a mask.
struct Frames {
    reader: ReadHalf<TcpStream>,
    writer: Writer,
    buffer: Vec<u8>,
}

impl Frames {
    async fn upgraded(&mut self) -> Result<()> {
        loop {
            self.more().await?;
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                ensure!(self.buffer.starts_with(b"HTTP/1.1 101"), "no upgrade");
                self.buffer.drain(..end + 4);
                return Ok(());
            }
        }
    }

    /// The next one that is no ping; those are answered.
    async fn next(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            if let Some((kind, begin, end)) = bounds(&self.buffer) {
                let payload = self.buffer[begin..end].to_vec();
                self.buffer.drain(..end);
                if kind == PING {
                    let pong = frame(PONG, &payload)?;
                    self.writer.lock().await.write_all(&pong).await?;
                    continue;
                }
                return Ok((kind, payload));
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Result<()> {
        let read = self.reader.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the server closed a connection");
        Ok(())
    }
}

/// The kind of the first frame and where its payload lies, once all of it is there.
fn bounds(buffer: &[u8]) -> Option<(u8, usize, usize)> {
    let (&[first, second], rest) = buffer.split_first_chunk::<2>()?;
    let (begin, length) = match second {
        126 => (4, usize::from(u16::from_be_bytes(*rest.first_chunk()?))),
        127 => (
            10,
            usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?,
        ),
        short => (2, usize::from(short)),
    };
    (buffer.len() >= begin + length).then_some((first & 0x0f, begin, begin + length))
}

/// A client's frame. Its mask is zero, which a mask may be, and leaves the payload as it is.
fn frame(kind: u8, payload: &[u8]) -> Result<Vec<u8>> {
    let mut frame = vec![0x80 | kind];
    if let Ok(short @ 0..126) = u8::try_from(payload.len()) {
        frame.push(0x80 | short);
    } else {
        frame.push(0xfe);
        frame.extend(
            u16::try_from(payload.len())
                .context("a short message")?
                .to_be_bytes(),
        );
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_says_its_version() {
        assert_eq!(version(br#"{"status":"PAID","version":12,"id":"1"}"#), Some(12));
        assert_eq!(version(br#"{"type":"complete"}"#), None);
    }

    #[test]
    fn a_frame_is_found_once_all_of_it_is_there() {
        let long = [&[0x81, 126, 1, 0][..], &[b'x'; 256]].concat();
        assert_eq!(bounds(b"\x81\x02hi\x81"), Some((1, 2, 4)));
        assert_eq!(bounds(b"\x81\x02h"), None);
        assert_eq!(bounds(&long), Some((1, 4, 260)));
        assert_eq!(bounds(&long[..259]), None);
    }
}
