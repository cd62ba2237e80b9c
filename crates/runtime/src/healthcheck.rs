//! `tiffin-api healthcheck` and its like: asks the program that runs beside it whether it is ready.
//!
//! Container engines start a command inside the container for that, and in ours there is no other program.

use std::{
    env,
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    time::Duration,
};

use clap::Parser;

use crate::{
    config::{self, Stop},
    settings::AdminSettings,
};

/// The word that asks for a check instead of a service.
const WORD: &str = "healthcheck";
/// How long each of connecting, asking and answering may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks a running service whether it is ready.
#[derive(Debug, Parser)]
#[command(name = WORD)]
struct Settings {
    #[arg(hide = true, value_parser = [WORD])]
    word: String,
    #[command(flatten)]
    admin: AdminSettings,
}

/// Whether the command line asks for a check.
pub(crate) fn is_wanted() -> bool {
    env::args_os().nth(1).is_some_and(|word| word == WORD)
}

/// Asks, and says what the service reports of itself: as an error where it is not ready.
pub(crate) fn run() -> Result<Result<String, String>, Stop> {
    let settings = config::parse::<Settings>()?;
    let address = reachable(settings.admin.admin_listen);
    Ok(ask(address).unwrap_or_else(|error| Err(format!("no answer from {address}: {error}"))))
}

/// An address to connect to for one to listen on.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn ask(address: SocketAddr) -> std::io::Result<Result<String, String>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let ready = answer.starts_with("HTTP/1.1 200 ");
    let report = answer.split_once("\r\n\r\n").map_or("", |(_head, body)| body);
    let report = report.trim_end().to_owned();
    Ok(if ready { Ok(report) } else { Err(report) })
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::{Admin, Lifecycle, Readiness};

    async fn asked(admin: &Admin) -> Result<String, String> {
        let mut address = admin.address();
        address.set_ip(Ipv4Addr::UNSPECIFIED.into());
        let asking = tokio::task::spawn_blocking(move || ask(reachable(address)));
        asking.await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_service_is_healthy_when_it_says_that_it_is_ready() {
        let lifecycle = Lifecycle::new(Duration::from_secs(1));
        let admin = Admin::start(([127, 0, 0, 1], 0).into(), &lifecycle).unwrap();
        assert!(asked(&admin).await.is_err(), "it starts");
        admin.serve(
            Registry::default(),
            Readiness::default().needs("database", async || Ok("open".to_owned())),
        );
        assert!(asked(&admin).await.unwrap().contains("\"database\""));
        lifecycle.soft.cancel();
        assert!(asked(&admin).await.is_err(), "it stops");
    }

    #[test]
    fn nobody_there_is_an_error() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        assert!(ask(address).is_err());
    }
}
