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
    sync::Notify,
};

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

/// One client; what it receives is counted as long as it lives.
pub(crate) struct Subscriber {
    writer: WriteHalf<TcpStream>,
    reading: tokio::task::JoinHandle<Result<()>>,
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Subscriber {
    /// Connects and says who it is.
    ///
    /// # Errors
    /// The server does not speak graphql-transport-ws, or does not know the key.
    pub(crate) async fn connect(address: SocketAddr, key: &str, received: Arc<Received>) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, mut writer) = tokio::io::split(stream);
        let upgrade = "GET /graphql/ws HTTP/1.1\r\nhost: bench\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: graphql-transport-ws\r\n\r\n";
        writer.write_all(upgrade.as_bytes()).await?;
        let mut frames = Frames {
            reader,
            buffer: Vec::with_capacity(512),
        };
        frames.upgraded().await?;
        let init = format!(r#"{{"type":"connection_init","payload":{{"x-api-key":"{key}"}}}}"#);
        writer.write_all(&frame(TEXT, init.as_bytes())?).await?;
        let (_, acknowledged) = frames.next().await?;
        ensure!(holds(&acknowledged, b"connection_ack"), "no acknowledgement");
        let reading = tokio::spawn(count(frames, received));
        Ok(Self { writer, reading })
    }

    /// Watches an order.
    ///
    /// # Errors
    /// The connection is gone.
    pub(crate) async fn watch(&mut self, order: &str) -> Result<()> {
        let subscribe = format!(
            r#"{{"id":"{order}","type":"subscribe","payload":{{"query":"subscription($id: ID!) {{ onOrderUpdated(id: $id) {{ id status version updatedAt }} }}","variables":{{"id":"{order}"}}}}}}"#
        );
        Ok(self.writer.write_all(&frame(TEXT, subscribe.as_bytes())?).await?)
    }
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;

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

    async fn next(&mut self) -> Result<(u8, Vec<u8>)> {
        loop {
            if let Some((kind, begin, end)) = bounds(&self.buffer) {
                let payload = self.buffer[begin..end].to_vec();
                self.buffer.drain(..end);
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
    fn a_frame_is_found_once_all_of_it_is_there() {
        let long = [&[0x81, 126, 1, 0][..], &[b'x'; 256]].concat();
        assert_eq!(bounds(b"\x81\x02hi\x81"), Some((1, 2, 4)));
        assert_eq!(bounds(b"\x81\x02h"), None);
        assert_eq!(bounds(&long), Some((1, 4, 260)));
        assert_eq!(bounds(&long[..259]), None);
    }
}
