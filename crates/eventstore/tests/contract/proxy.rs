//! A TCP proxy before PostgreSQL that can swallow an answer and cut the connection, or fall silent.

use std::{
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use sqlx::postgres::PgConnectOptions;
use tiffin_eventstore::{Config, DatabaseUrl};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// Ends with the value.
pub(crate) struct Proxy {
    url: String,
    rule: Arc<Rule>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Rule {
    /// A connection whose client sends this gets no answer.
    marker: Mutex<Vec<u8>>,
    left: AtomicUsize,
    /// Notified: over the connections that there are nothing is carried any more, and none of them ends.
    silence: Notify,
}

impl Proxy {
    pub(crate) async fn to(url: &DatabaseUrl) -> Self {
        let DatabaseUrl::Postgres(url) = url else {
            panic!("a proxy is for PostgreSQL")
        };
        let options: PgConnectOptions = url.parse().unwrap();
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = url.replace(&server, &listener.local_addr().unwrap().to_string());
        let rule = Arc::new(Rule::default());
        let task = tokio::spawn({
            let rule = Arc::clone(&rule);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let (server, rule) = (server.clone(), Arc::clone(&rule));
                    tokio::spawn(async move {
                        let server = TcpStream::connect(server).await.unwrap();
                        // An end by either side is the end of both.
                        let _ = carry(client, server, &rule).await;
                    });
                }
            }
        });
        Self { url, rule, task }
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(DatabaseUrl::Postgres(self.url.clone()))
    }

    /// The next `times` that a client sends `marker`, the server's answer is awaited and the connection cut.
    pub(crate) fn swallow(&self, marker: &[u8], times: usize) {
        *self.rule.marker.lock().unwrap() = marker.to_vec();
        self.rule.left.store(times, Ordering::SeqCst);
    }

    /// The server is gone without a word; whoever connects anew finds another one in its place.
    pub(crate) fn fall_silent(&self) {
        self.rule.silence.notify_waiters();
    }

    pub(crate) fn left(&self) -> usize {
        self.rule.left.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rule {
    fn met_by(&self, sent: &[u8]) -> bool {
        let marker = self.marker.lock().unwrap();
        !marker.is_empty()
            && sent.windows(marker.len()).any(|window| window == *marker)
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                .is_ok()
    }
}

async fn carry(mut client: TcpStream, mut server: TcpStream, rule: &Rule) -> std::io::Result<()> {
    let (mut sent, mut answered) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut silence = pin!(rule.silence.notified());
    loop {
        tokio::select! {
            () = &mut silence => std::future::pending::<()>().await,
            count = client.read(&mut sent) => {
                let count = count?;
                if count == 0 {
                    return Ok(());
                }
                server.write_all(&sent[..count]).await?;
                if rule.met_by(&sent[..count]) {
                    // The answer begins: the transaction is committed.
                    server.readable().await?;
                    return Ok(());
                }
            }
            count = server.read(&mut answered) => {
                let count = count?;
                if count == 0 {
                    return Ok(());
                }
                client.write_all(&answered[..count]).await?;
            }
        }
    }
}
