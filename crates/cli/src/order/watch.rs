//! `tiffin order watch`.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use super::{
    events::{Event, Events},
    words,
};
use crate::{
    failure::{Exit, Failure},
    output,
    server::{Server, data},
};

/// How long to wait before a lost connection is made anew.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the server may stay away before we give up.
const PATIENCE: Duration = Duration::from_mins(1);

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
    #[arg(long, value_name = "VERSION")]
    after_version: Option<i32>,
}

pub(super) async fn run(settings: Settings, json: bool) -> Result<(), Failure> {
    follow(&settings.server, &settings.id, settings.after_version, None, json).await
}

/// Prints every change until the order is finished; takes up a lost connection after the last change that was seen.
/// `there`: when the server was seen last, if it was.
pub(super) async fn follow(
    server: &Server,
    id: &str,
    after_version: Option<i32>,
    mut there: Option<Instant>,
    json: bool,
) -> Result<(), Failure> {
    let variables = json!({ "id": id, "afterVersion": after_version });
    let mut last = None;
    loop {
        let failure = match server.subscribe(last.as_deref(), WATCH, &variables).await {
            Ok(answer) => {
                let mut events = Events::new(answer);
                let ended = show(&mut events, json).await;
                there = Some(Instant::now());
                last = events.last_id().or(last);
                match ended {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                }
            }
            Err(failure) => failure,
        };
        // A server that was there before may come back; one that never was is probably another mistake.
        let worth_it = there.is_some_and(|at: Instant| at.elapsed() < PATIENCE);
        if !failure.retryable() || !worth_it {
            return Err(failure);
        }
        tokio::time::sleep(PAUSE).await;
    }
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
