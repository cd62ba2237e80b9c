//! WebSocket as a client speaks it that needs little of it: whole frames, and pings that are answered.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf},
    net::TcpStream,
    sync::Mutex,
};

pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The writing side, which answers pings too.
pub(super) type Writer = Arc<Mutex<WriteHalf<TcpStream>>>;

/// Connects and begins the protocol.
///
/// # Errors
/// The server does not speak graphql-transport-ws, or does not know the key.
pub(super) async fn open(address: SocketAddr, key: &str) -> Result<(Frames, Writer)> {
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

/// The frames that a server sends: whole and without a mask.
pub(super) struct Frames {
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
    pub(super) async fn next(&mut self) -> Result<(u8, Vec<u8>)> {
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
pub(super) fn frame(kind: u8, payload: &[u8]) -> Result<Vec<u8>> {
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

/// Whether `part` is somewhere in `text`.
pub(crate) fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
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
