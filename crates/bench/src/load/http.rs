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

/// Has `clients` place one order after the other until `until`.
///
/// # Errors
/// A request was not answered with an order.
pub(crate) async fn place(client: &Client, clients: usize, until: Instant) -> Result<Placed> {
    let all = (0..clients).map(|_| tokio::spawn(client.clone().run(until)));
    let mut placed = Placed {
        orders: 0,
        refused: 0,
        latency: latencies(),
    };
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
        let mut connection = Connection {
            stream: TcpStream::connect(self.address).await?,
            answer: Vec::with_capacity(4096),
        };
        connection.stream.set_nodelay(true)?;
        let mut placed = Placed {
            orders: 0,
            refused: 0,
            latency: latencies(),
        };
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

    fn request(&self, name: &str) -> Vec<u8> {
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

struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    async fn ask(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            ensure!(
                self.stream.read_buf(&mut self.answer).await? > 0,
                "the server closed a connection"
            );
            if let Some(body) = complete(&self.answer)? {
                let says = |what: &[u8]| body.windows(what.len()).any(|part| part == what);
                if says(PENDING) {
                    return Ok(Answer::Placed);
                }
                let text = String::from_utf8_lossy(body);
                ensure!(says(OVERLOADED), "no order was placed: {text}");
                return Ok(Answer::Refused);
            }
        }
    }
}

enum Answer {
    Placed,
    Refused,
}

const PENDING: &[u8] = br#""status":"PENDING""#;
const OVERLOADED: &[u8] = br#""code":"OVERLOADED""#;
/// What the server asks those to wait that it refuses because of its disk.
const RETRY: Duration = Duration::from_secs(1);

/// The body of an answer, once all of it is there.
fn complete(answer: &[u8]) -> Result<Option<&[u8]>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end])?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    let Some(length) = length else {
        bail!("an answer without a length: {head}")
    };
    let body = &answer[end + 4..];
    Ok((body.len() >= length.context("a length")?).then_some(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_body_is_there() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(complete(answer).unwrap(), Some(&b"{}"[..]));
        assert_eq!(complete(&answer[..answer.len() - 1]).unwrap(), None);
        assert_eq!(complete(&answer[..20]).unwrap(), None);
        assert!(complete(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
