//! `tiffin order watch`.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{
    events::{Event, Events},
    words,
};
use crate::{
    connection::Connection,
    failure::{Exit, Failure},
    output,
    server::{Server, data},
};

/// How long to wait before a lost connection is made anew.
const PAUSE: Duration = Duration::from_secs(1);

const WATCH: &str = "subscription Watch($id: ID!, $afterVersion: Int) {
  onOrderUpdated(id: $id, afterVersion: $afterVersion) { id status updatedAt version reason }
}";

/// What people are shown of a change: `2 PAID 2030-01-31T18:30:00.000Z`.
const FIELDS: &[&str] = &["version", "status", "updatedAt", "reason"];

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    server: Server,
    /// The order's id.
    id: String,
    /// Begins with the change after this version; 0 shows the whole history.
    #[arg(long, value_name = "VERSION", allow_negative_numbers = true, value_parser = version)]
    after_version: Option<i32>,
}

pub(super) async fn run(settings: Settings, json: bool) -> Result<(), Failure> {
    let connection = Connection::new(json);
    follow(
        &settings.server,
        &settings.id,
        settings.after_version,
        connection,
        json,
    )
    .await
}

/// Prints every change until the order is finished; takes up a lost connection after the last change that was seen.
/// `connection`: whether the server was there before.
pub(super) async fn follow(
    server: &Server,
    id: &str,
    after_version: Option<i32>,
    mut connection: Connection,
    json: bool,
) -> Result<(), Failure> {
    let variables = json!({ "id": id, "afterVersion": after_version });
    let mut last = None;
    loop {
        let failure = match server.subscribe(last.as_deref(), WATCH, &variables).await {
            Ok(answer) => {
                connection.is_there();
                let mut events = Events::new(answer);
                let ended = show(&mut events, json).await;
                connection.is_there();
                last = events.last_id().or(last);
                match ended {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                }
            }
            Err(failure) => failure,
        };
        connection.lost(failure)?;
        tokio::time::sleep(PAUSE).await;
    }
}

fn version(text: &str) -> Result<i32, String> {
    let version = text.parse().ok().filter(|version| *version >= 0);
    version.ok_or_else(|| "not a version, which is a number from 0".to_owned())
}

/// Prints what comes until the subscription is complete.
async fn show(events: &mut Events, json: bool) -> Result<(), Failure> {
    while let Some(event) = events.next().await? {
        match event {
            Event::Next(payload) => {
                let mut data = data(payload)?;
                let update = data["onOrderUpdated"].take();
                output::line(if json {
                    update.to_string()
                } else {
                    words(&update, FIELDS)
                })?;
            }
            Event::Complete => return Ok(()),
        }
    }
    Err(Failure::new(Exit::Unavailable, "the server ended the stream"))
}
