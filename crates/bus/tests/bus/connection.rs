//! Connecting: to nothing, to a server that comes later, to one that is too old.

use std::time::{Duration, Instant};

use crate::world::World;
use tiffin_bus::{Bus, Config, ConfigError, SendError, State, announce_commits};
use tiffin_eventstore::Position;
use tiffin_testkit::{Process, command, eventually, free_port, nats_server, scratch_folder};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

async fn connect(url: String) -> Result<Bus, ConfigError> {
    let config = Config {
        url,
        name: "test".to_owned(),
        ca: None,
    };
    Bus::connect(config, &TaskTracker::new(), CancellationToken::new()).await
}

/// Greets like a server of that version and answers pings, one client after the other.
async fn greet(listener: &TcpListener, version: &str) -> anyhow::Result<()> {
    let mut clients = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let greeting = format!(
            "INFO {{\"server_id\":\"x\",\"version\":\"{version}\",\"max_payload\":1048576,\"headers\":true,\"proto\":1,\"host\":\"127.0.0.1\",\"port\":4222,\"go\":\"go1\"}}\r\n"
        );
        clients.spawn(async move {
            let mut stream = BufReader::new(stream);
            stream.write_all(greeting.as_bytes()).await?;
            let mut line = String::new();
            while stream.read_line(&mut line).await? > 0 {
                if line.starts_with("PING") {
                    stream.write_all(b"PONG\r\n").await?;
                }
                line.clear();
            }
            anyhow::Ok(())
        });
    }
}

#[tokio::test]
async fn connecting_does_not_wait_for_a_server() -> anyhow::Result<()> {
    let began = Instant::now();
    let bus = connect(format!("nats://127.0.0.1:{}", free_port())).await?;
    assert_eq!(*bus.state().borrow(), State::Disconnected);
    let sent = bus.publish_core("a.b", "c".into()).await;
    assert!(matches!(sent, Err(SendError::Disconnected)));
    bus.subscribe_core("a.b").await?;
    assert!(began.elapsed() < Duration::from_secs(1));
    Ok(())
}

#[tokio::test]
async fn the_credentials_in_the_url_open_the_server() -> anyhow::Result<()> {
    for (arguments, credentials) in [
        (&["--user", "me", "--pass", "p@ss"][..], "me:p%40ss"),
        (&["--auth", "a-token"], "a-token"),
    ] {
        let port = free_port();
        let mut server = command(nats_server());
        server
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .args(arguments);
        let _server = Process::start("nats-server", server, &scratch_folder("nats").join("log"));
        let bus = connect(format!("nats://{credentials}@127.0.0.1:{port}")).await?;
        let mut state = bus.state();
        tokio::time::timeout(Duration::from_secs(30), state.wait_for(State::is_connected)).await??;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() -> anyhow::Result<()> {
    let world = World::start().await?;
    world.server.kill().await;
    let bus = world.bus("test").await?;
    let mut inbox = bus.subscribe_core("a.b").await?;
    world.server.restart().await;
    bus.state().wait_for(State::is_connected).await?;
    // The other connection's subscription may come a moment after this message.
    let mut heard = async || {
        let sent = bus.publish_core("a.b", "c".into()).await.is_ok();
        let next = tokio::time::timeout(Duration::from_millis(100), inbox.next()).await;
        sent && next.is_ok_and(|message| message.is_some_and(|message| message.payload == "c"))
    };
    eventually!(heard().await, |heard| *heard);
    Ok(())
}

#[tokio::test]
async fn an_old_server_is_refused_until_it_is_replaced() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let bus = connect(format!("nats://{}", listener.local_addr()?)).await?;
    let mut state = bus.state();
    {
        let refused = state.wait_for(|state| {
            *state
                == State::Refused {
                    version: "2.13.9".to_owned(),
                }
        });
        tokio::select! { refused = refused => drop(refused?), greeted = greet(&listener, "2.13.9") => greeted? }
    }
    assert!(matches!(
        bus.publish_core("a.b", "c".into()).await,
        Err(SendError::Disconnected)
    ));
    let connected = state.wait_for(State::is_connected);
    tokio::select! { connected = connected => drop(connected?), greeted = greet(&listener, "2.14.0") => greeted? }
    Ok(())
}

#[tokio::test]
async fn what_can_never_connect_is_an_error() {
    assert!(matches!(
        connect("nats://a b".to_owned()).await,
        Err(ConfigError::Url(_))
    ));
    let config = Config {
        url: "nats://127.0.0.1".to_owned(),
        name: "a.b".to_owned(),
        ca: None,
    };
    let bus = Bus::connect(config, &TaskTracker::new(), CancellationToken::new()).await;
    assert!(matches!(bus, Err(ConfigError::Name(_))));
}

#[tokio::test]
async fn commits_are_announced_to_other_processes() -> anyhow::Result<()> {
    let world = World::start().await?;
    let listener = world.connected("listener").await?;
    let mut announcements = listener.subscribe_core("log.committed").await?;
    tokio::spawn(announce_commits(
        world.connected("writer").await?,
        world.store.clone(),
        world.token.clone(),
    ));
    let mut heard = async || {
        let appended = world
            .append(1)
            .await
            .map_or(Position(0), |events| events[0].position);
        let next = tokio::time::timeout(Duration::from_millis(200), announcements.next()).await;
        let heard = next.ok().flatten().map(|message| message.payload);
        heard.is_some_and(|position| position == appended.to_string())
    };
    eventually!(heard().await, |heard| *heard);
    Ok(())
}

#[tokio::test]
async fn a_server_that_says_nothing_any_more_is_noticed_within_seconds() -> anyhow::Result<()> {
    let world = World::start().await?;
    let mut state = world.connected("test").await?.state();
    world.server.pause();
    let noticed = state.wait_for(|state| *state == State::Disconnected);
    tokio::time::timeout(Duration::from_secs(8), noticed).await??;
    world.server.resume();
    state.wait_for(State::is_connected).await?;
    Ok(())
}
