//! Serves a router over HTTP/1.1: a cap on connections, time limits for slow clients, a graceful stop.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, header::CONNECTION},
    response::Response,
};
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{Error, HttpSettings, Lifecycle, apart, held::Held, tls};

/// How long a new connection has for its TLS handshake and for the head of its first request.
const FIRST_HEAD: Duration = Duration::from_secs(5);

/// How long a connection may be idle between two requests, the head of the second included. It is above the 60 s that
/// common load balancers keep idle connections for, so that they never send a request into a connection being closed.
const IDLE: Duration = Duration::from_secs(75);

/// How long an idle connection is kept after the stop began. Closed at once, it might be closed on a request that was
/// just sent, of which the client could not tell whether it was carried out.
const LINGER: Duration = Duration::from_secs(1);

/// How many connections the kernel may hold until they are accepted, if it allows so many (`net.core.somaxconn`). All
/// clients of a dead process come back at once, and each that finds no room tries again only after seconds.
const BACKLOG: u32 = 16_384;

/// Listens on `address`; an error names `setting` as where to change it.
pub(crate) fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, Error> {
    listen(address).map_err(|cause| Error::Listen {
        address,
        setting,
        cause,
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // What a process before this one has left to the kernel does not keep the address.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// An HTTP server that listens and does not answer yet, so that a port in use is noticed before anything else is done.
pub struct HttpServer {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
    first_head: Duration,
}

/// What every connection of a server shares.
struct Connection {
    router: Router,
    lifecycle: Lifecycle,
    first_head: Duration,
}

impl HttpServer {
    /// Listens where the settings say, and reads their certificate.
    pub fn bind(settings: &HttpSettings) -> Result<Self, Error> {
        let tls = match (&settings.tls_cert, &settings.tls_key) {
            (Some(certificate), Some(key)) => Some(tls::acceptor(certificate, key)?),
            _ => None,
        };
        Ok(Self {
            listener: bind(settings.listen, "TIFFIN_LISTEN")?,
            tls,
            connections: Arc::new(Semaphore::new(settings.max_connections)),
            first_head: FIRST_HEAD,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Whether it speaks TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Answers by `router` until the lifecycle's soft token; then no connection is accepted, and each open one is
    /// closed after the request that it is answering.
    pub fn serve(self, router: Router, lifecycle: &Lifecycle) {
        if let Ok(address) = self.address() {
            tracing::info!(%address, tls = self.is_tls(), "GraphQL is served");
        }
        let shared = Arc::new(Connection {
            router,
            lifecycle: lifecycle.clone(),
            first_head: self.first_head,
        });
        apart::run("http", lifecycle, self.accept(shared));
    }

    async fn accept(self, shared: Arc<Connection>) {
        // It was opened by another runtime than the one that serves it.
        let listener = match self.listener.into_std().and_then(TcpListener::from_std) {
            Ok(listener) => listener,
            Err(error) => return tracing::error!(%error, "the connections of clients cannot be taken"),
        };
        let soft = shared.lifecycle.soft.clone();
        let next = || next(&listener, &self.connections);
        while let Some((stream, permit)) = soft.run_until_cancelled(next()).await {
            take(&shared, self.tls.clone(), stream, permit);
        }
        // Clients whose connections the kernel has taken already may have sent their requests.
        let Ok(waiting) = listener.into_std() else {
            return;
        };
        while let Ok((stream, _peer)) = waiting.accept()
            && let Ok(permit) = Arc::clone(&self.connections).try_acquire_owned()
            && stream.set_nonblocking(true).is_ok()
            && let Ok(stream) = TcpStream::from_std(stream)
        {
            take(&shared, self.tls.clone(), stream, permit);
        }
    }
}

/// The next connection, once there is a place for it.
async fn next(listener: &TcpListener, connections: &Arc<Semaphore>) -> (TcpStream, OwnedSemaphorePermit) {
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(connections).acquire_owned().await else {
            std::future::pending().await
        };
        match listener.accept().await {
            Ok((stream, _peer)) => {
                // Without it an answer may wait for an acknowledgement; it is not fatal if it cannot be set.
                let _unimportant = stream.set_nodelay(true);
                return (stream, permit);
            }
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to be given back.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn take(shared: &Arc<Connection>, tls: Option<TlsAcceptor>, stream: TcpStream, permit: OwnedSemaphorePermit) {
    let shared = Arc::clone(shared);
    let tracker = shared.lifecycle.tracker.clone();
    tracker.spawn(async move {
        let Some(tls) = tls else {
            return shared.answer(Held::new(stream, permit)).await;
        };
        // A failed or slow handshake is the client's affair.
        if let Ok(Ok(stream)) = timeout(shared.first_head, tls.accept(stream)).await {
            shared.answer(Held::new(stream, permit)).await;
        }
    });
}

impl Connection {
    async fn answer(&self, stream: Held<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>) {
        let arrived = Arc::new(Notify::new());
        let first = Arc::clone(&arrived);
        let router = TowerToHyperService::new(self.router.clone().into_service::<Incoming>());
        let soft = self.lifecycle.soft.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            first.notify_one();
            let (answer, soft) = (hyper::service::Service::call(&router, request), soft.clone());
            async move {
                answer
                    .await
                    .map(|answer| if soft.is_cancelled() { last(answer) } else { answer })
            }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
        let connection = builder
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let silent = async {
            if timeout(self.first_head, arrived.notified()).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let mut silent = std::pin::pin!(silent);
        tokio::select! {
            _ended = connection.as_mut() => return,
            () = silent.as_mut() => return,
            () = self.lifecycle.soft.cancelled() => {}
        }
        // The client may have sent a request that is still under way, and is told with its answer to go elsewhere.
        tokio::select! {
            _ended = connection.as_mut() => return,
            () = silent.as_mut() => return,
            () = tokio::time::sleep(LINGER) => connection.as_mut().graceful_shutdown(),
            () = self.lifecycle.hard.cancelled() => return,
        }
        tokio::select! {
            _ended = connection => {}
            () = silent => {}
            () = self.lifecycle.hard.cancelled() => {}
        }
    }
}

/// Tells the client not to use the connection again.
fn last(mut answer: Response) -> Response {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().entry(CONNECTION).or_insert(close);
    answer
}

#[cfg(test)]
mod tests;
