//! A server with TLS: whom it is trusted by, and who is never sent a password.

use std::{fs, path::PathBuf, time::Duration};

use tiffin_bus::{Bus, Config, ConfigError, State};
use tiffin_testkit::{Process, command, eventually, free_port, nats_server, scratch_folder};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

async fn connect(url: String, ca: PathBuf) -> Result<Bus, ConfigError> {
    let config = Config {
        url,
        name: "test".to_owned(),
        ca: Some(ca),
    };
    Bus::connect(config, &TaskTracker::new(), CancellationToken::new()).await
}

/// A certificate for `localhost` that signs for itself, and its key.
fn certificate() -> anyhow::Result<(PathBuf, PathBuf)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let folder = scratch_folder("tls");
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    fs::write(&certificate, made.cert.pem())?;
    fs::write(&key, made.signing_key.serialize_pem())?;
    Ok((certificate, key))
}

#[tokio::test]
async fn a_server_is_used_whose_certificate_the_given_authority_signed_and_no_other() -> anyhow::Result<()> {
    let (certificate, key) = certificate()?;
    let port = free_port();
    let mut server = command(nats_server());
    server
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "--tls", "--tlscert"])
        .arg(&certificate)
        .arg("--tlskey")
        .arg(&key);
    let server = Process::start("nats-server", server, &scratch_folder("nats").join("log"));
    let url = format!("tls://localhost:{port}");
    let bus = connect(url.clone(), certificate).await?;
    let mut state = bus.state();
    tokio::time::timeout(Duration::from_secs(30), state.wait_for(State::is_connected)).await??;
    let (stranger, _) = self::certificate()?;
    let bus = connect(url, stranger).await?;
    // The client hangs up on what it does not trust, which the server tells.
    eventually!(server.output(), |output| output
        .matches("TLS handshake error")
        .count()
        > 4);
    assert_eq!(*bus.state().borrow(), State::Disconnected);
    Ok(())
}

#[tokio::test]
async fn with_an_authority_a_server_without_tls_is_not_used() -> anyhow::Result<()> {
    let (certificate, _) = certificate()?;
    let port = free_port();
    let mut server = command(nats_server());
    server.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-D"]);
    let server = Process::start("nats-server", server, &scratch_folder("nats").join("log"));
    let bus = connect(format!("nats://localhost:{port}"), certificate).await?;
    let refusals = |output: &String| output.matches("Client connection closed").count() > 4;
    eventually!(server.output(), refusals);
    assert_eq!(*bus.state().borrow(), State::Disconnected);
    Ok(())
}

#[tokio::test]
async fn a_file_without_a_certificate_is_an_error_at_once() {
    let refused = connect("tls://localhost".to_owned(), "/nowhere/ca.crt".into()).await;
    assert!(matches!(refused, Err(ConfigError::Ca(_))));
}
