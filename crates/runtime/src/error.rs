//! What can go wrong in a program before it serves.

use std::{fmt::Display, io, net::SocketAddr, path::PathBuf};

/// The program cannot start or go on; `main` prints it as one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting makes no sense; the program exits with 2.
    #[error("{0}")]
    Setting(String),
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({setting}): {}", reason(.cause))]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The setting that names the address.
        setting: &'static str,
        /// What the operating system said. Not called `source`, since the message says it already.
        cause: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
}

impl Error {
    /// A setting that makes no sense, with the reason.
    pub fn setting(name: impl Display, reason: impl Display) -> Self {
        Self::Setting(format!("{name}: {reason}"))
    }
}

fn reason(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::AddrInUse => "the port is in use by another program".to_owned(),
        _ => cause.to_string(),
    }
}
