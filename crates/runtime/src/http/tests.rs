use axum::routing::get;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n";

fn settings(max_connections: usize) -> HttpSettings {
    HttpSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        max_connections,
        tls_cert: None,
        tls_key: None,
    }
}

fn server(max_connections: usize, router: Router) -> (SocketAddr, Lifecycle) {
    let lifecycle = Lifecycle::new(Duration::from_secs(20));
    let server = HttpServer::bind(&settings(max_connections)).unwrap();
    let address = server.address().unwrap();
    server.serve(router, &lifecycle);
    (address, lifecycle)
}

async fn read_until(stream: &mut TcpStream, end: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        assert_ne!(
            stream.read_buf(&mut seen).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&seen)
        );
    }
}

#[tokio::test]
async fn a_connection_that_does_not_finish_its_first_head_in_time_is_closed() {
    let lifecycle = Lifecycle::new(Duration::from_secs(20));
    let mut server = HttpServer::bind(&settings(10)).unwrap();
    server.first_head = Duration::from_millis(50);
    let address = server.address().unwrap();
    server.serve(Router::new(), &lifecycle);
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HT").await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(10), stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.is_empty());
}

#[tokio::test]
async fn a_connection_without_a_request_does_not_hold_up_a_stop() {
    let lifecycle = Lifecycle::new(Duration::from_secs(20));
    let mut server = HttpServer::bind(&settings(10)).unwrap();
    server.first_head = Duration::from_millis(500);
    let address = server.address().unwrap();
    server.serve(Router::new(), &lifecycle);
    let _silent = TcpStream::connect(address).await.unwrap();
    while lifecycle.tracker.len() < 2 {
        tokio::task::yield_now().await;
    }
    lifecycle.soft.cancel();
    let ending = timeout(Duration::from_secs(10), lifecycle.finished()).await;
    assert_eq!(ending.unwrap(), crate::Ending::Clean);
}

#[tokio::test]
async fn requests_are_answered_by_threads_of_their_own() {
    let thread = async || std::thread::current().name().unwrap_or_default().to_owned();
    let (address, _lifecycle) = server(10, Router::new().route("/", get(thread)));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    read_until(&mut stream, "\r\n\r\nhttp").await;
}

#[tokio::test]
async fn a_connection_above_the_cap_is_answered_when_another_closes() {
    let (address, _lifecycle) = server(1, Router::new().route("/", get(async || "done")));
    let mut first = TcpStream::connect(address).await.unwrap();
    first.write_all(REQUEST).await.unwrap();
    read_until(&mut first, "done").await;
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(REQUEST).await.unwrap();
    let answered = read_until(&mut second, "done");
    tokio::pin!(answered);
    assert!(
        timeout(Duration::from_millis(200), answered.as_mut())
            .await
            .is_err()
    );
    drop(first);
    timeout(Duration::from_secs(10), answered).await.unwrap();
}

#[tokio::test]
async fn a_request_that_meets_the_stop_is_answered_as_its_connections_last() {
    let (address, lifecycle) = server(10, Router::new().route("/", get(async || "done")));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    read_until(&mut stream, "done").await;
    lifecycle.soft.cancel();
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.contains("connection: close") && answer.ends_with("done"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_stop_finishes_the_request_at_hand_and_takes_no_other() {
    let (entered, was_entered) = oneshot::channel();
    let (release, released) = oneshot::channel::<()>();
    let once = Arc::new(std::sync::Mutex::new(Some((entered, released))));
    let slow = async move || {
        let (entered, released) = once.lock().unwrap().take().unwrap();
        entered.send(()).unwrap();
        released.await.unwrap();
        "done"
    };
    let (address, lifecycle) = server(10, Router::new().route("/", get(slow)));
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    was_entered.await.unwrap();
    lifecycle.soft.cancel();
    let finished = tokio::spawn({
        let lifecycle = lifecycle.clone();
        async move { lifecycle.finished().await }
    });
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    release.send(()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
    assert_eq!(finished.await.unwrap(), crate::Ending::Clean);
}
