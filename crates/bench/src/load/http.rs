//! GraphQL requests over HTTP/1.1 connections that stay open, one request at a time on each.
//!
//! Written by hand: an ordinary client costs as much as the server that is measured.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use futures::future::try_join_all;
use hdrhistogram::Histogram;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep},
};

use uuid::Uuid;

use crate::run::{latencies, note};

/// Which documents are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Documents {
    /// The same each time.
    Repeated,
    /// One that was never sent before.
    New,
}

/// One client that places orders.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Where it sends them.
    pub(crate) address: SocketAddr,
    /// By which key.
    pub(crate) key: String,
    /// With which documents.
    pub(crate) documents: Documents,
}

/// What clients were answered.
pub(crate) struct Placed {
    /// How many orders were placed.
    pub(crate) orders: u64,
    /// How many were refused as one too many.
    pub(crate) refused: u64,
    /// How long each took.
    pub(crate) latency: Histogram<u64>,
}

impl Placed {
    /// Before the first answer.
    pub(crate) fn nothing() -> Self {
        Self {
            orders: 0,
            refused: 0,
            latency: latencies(),
        }
    }
}

/// Has `clients` place one order after the other until `until`.
///
/// # Errors
/// A request was not answered with an order.
pub(crate) async fn place(client: &Client, clients: usize, until: Instant) -> Result<Placed> {
    let all = (0..clients).map(|_| tokio::spawn(client.clone().run(until)));
    let mut placed = Placed::nothing();
    for done in try_join_all(all).await? {
        let done = done?;
        placed.orders += done.orders;
        placed.refused += done.refused;
        placed.latency.add(done.latency)?;
    }
    Ok(placed)
}

impl Client {
    async fn run(self, until: Instant) -> Result<Placed> {
        let mut connection = Connection::open(self.address).await?;
        let mut placed = Placed::nothing();
        let mut request = self.request("P");
        while Instant::now() < until {
            if matches!(self.documents, Documents::New) {
                request = self.request(&format!("P{}", Uuid::now_v7().simple()));
            }
            let begun = Instant::now();
            match connection.ask(&request).await? {
                Answer::Placed => {
                    note(&mut placed.latency, begun.elapsed());
                    placed.orders += 1;
                }
                Answer::Refused => {
                    placed.refused += 1;
                    sleep(RETRY).await;
                }
            }
        }
        Ok(placed)
    }

    /// What places an order, by a document of this name.
    pub(crate) fn request(&self, name: &str) -> Vec<u8> {
        let body = format!(
            r#"{{"query":"mutation {name}($input: CreateOrderInput!) {{ createOrder(input: $input) {{ id status version createdAt }} }}","variables":{{"input":{{"products":[{{"name":"Dal","quantity":2}},{{"name":"Roti","quantity":4}}]}}}}}}"#
        );
        format!(
            "POST /graphql HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nx-api-key: {}\r\ncontent-length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        )
        .into_bytes()
    }
}

/// A connection that stays open.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Opens it.
    ///
    /// # Errors
    /// Nobody listens.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let answer = Vec::with_capacity(1024);
        Ok(Self { stream, answer })
    }

    /// Places an order.
    ///
    /// # Errors
    /// The answer is neither an order nor a refusal as it must be: of code `OVERLOADED`, with status 503 and a time
    /// after which to ask again.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            ensure!(
                self.stream.read_buf(&mut self.answer).await? > 0,
                "the server closed a connection"
            );
            let Some((head, body)) = complete(&self.answer)? else {
                continue;
            };
            let says = |what: &[u8]| body.windows(what.len()).any(|part| part == what);
            if says(PENDING) {
                return Ok(Answer::Placed);
            }
            let right =
                says(OVERLOADED) && head.starts_with(UNAVAILABLE) && header(head, "retry-after").is_some();
            let text = String::from_utf8_lossy(body);
            ensure!(right, "neither an order nor a refusal: {head} {text}");
            return Ok(Answer::Refused);
        }
    }
}

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Placed,
    Refused,
}

const PENDING: &[u8] = br#""status":"PENDING""#;
const OVERLOADED: &[u8] = br#""code":"OVERLOADED""#;
const UNAVAILABLE: &str = "HTTP/1.1 503";
/// What the server asks those to wait that it refuses because of its disk.
const RETRY: Duration = Duration::from_secs(1);

/// The head and the body of an answer, once all of it is there.
fn complete(answer: &[u8]) -> Result<Option<(&str, &[u8])>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    let Some(length) = header(head, "content-length") else {
        bail!("an answer without a length: {head}")
    };
    let body = &answer[end + 4..];
    let length: usize = length.parse().context("a length")?;
    Ok((body.len() >= length).then_some((head, body)))
}

/// The value of the header `name`.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_body_is_there() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let (head, body) = complete(answer).unwrap().unwrap();
        assert_eq!((header(head, "content-length"), body), (Some("2"), &b"{}"[..]));
        assert!(complete(&answer[..answer.len() - 1]).unwrap().is_none());
        assert!(complete(&answer[..20]).unwrap().is_none());
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
