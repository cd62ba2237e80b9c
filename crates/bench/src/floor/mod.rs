//! What the parts that Tiffin is built from do without it.

pub(crate) mod bare;
pub(crate) mod forward;
pub(crate) mod pipeline;
pub(crate) mod publish;
pub(crate) mod resolver;
pub(crate) mod rows;
pub(crate) mod socket;

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::Result;
use tiffin_testkit::{Process, command, eventually, free_port, scratch_folder};
use tokio::net::TcpStream;

/// Starts this program as the server that `argument` and what follows it name, on a port of its own; returns when it listens.
pub(crate) async fn server(argument: &str, more: &[&str]) -> Result<(Process, SocketAddr)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let mut server = command(env::current_exe()?);
    server.arg(argument).arg(address.port().to_string()).args(more);
    let process = Process::start("floor", server, &scratch_folder("floor").join("log"));
    eventually!(TcpStream::connect(address).await.is_ok(), |up| *up);
    Ok((process, address))
}
