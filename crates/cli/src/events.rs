//! `tiffin events`: the log of all events, as it grows.

use std::time::Duration;

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};
use serde_json::{Value, json};
use tiffin_proto::{
    time_from_wire,
    v1::{Events, LoggedEvent, ReadEventsRequest, ReadEventsResponse, read_events_response::Result as Read},
};
use time::{OffsetDateTime, macros::format_description};

use crate::{
    connection::Connection,
    failure::Failure,
    operations::{Nats, Operations},
    output,
};

/// How long the service waits for news before it answers that there are none, in milliseconds.
const WAIT_MS: u32 = 2000;
/// How long to wait before it is asked again after a failure.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints every event as it is recorded, one line each, until it is interrupted; goes on by itself after a lost
    /// connection. What may be personal is left out.
    Tail(Settings),
}

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    nats: Nats,
    /// Begins after this cursor, with the events since a time such as 2026-01-31T18:30:00Z, or with `start`; without it,
    /// with the next event.
    #[arg(long, value_name = "CURSOR|TIME|start", value_parser = NonEmptyStringValueParser::new())]
    from: Option<String>,
    /// Only the events of this order.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    order: Option<String>,
    /// Ends after so many events.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

pub(crate) async fn run(command: Command, json: bool) -> Result<(), Failure> {
    let Command::Tail(settings) = command;
    let operations = settings.nats.connect().await?;
    let mut after = settings.from.unwrap_or_default();
    let order = settings.order.unwrap_or_default();
    let mut left = settings.limit.unwrap_or(u64::MAX);
    let mut connection = Connection::new(json);
    while left > 0 {
        let question = ReadEventsRequest {
            after: after.clone(),
            order: order.clone(),
            // 0 is as many as the service gives.
            limit: u32::try_from(left).unwrap_or(0),
            wait_ms: WAIT_MS,
        };
        let page = match read(&operations, &question).await {
            Ok(page) => page,
            Err(failure) => {
                connection.lost(failure)?;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        connection.is_there();
        for event in &page.events {
            output::line(if json {
                object(event).to_string()
            } else {
                words(event)
            })?;
        }
        left = left.saturating_sub(page.events.len() as u64);
        after = page.cursor;
    }
    Ok(())
}

async fn read(operations: &Operations, question: &ReadEventsRequest) -> Result<Events, Failure> {
    let answer: ReadEventsResponse = operations.ask("orders.events.read", question).await?;
    match answer.result {
        Some(Read::Events(events)) => Ok(events),
        Some(Read::Error(error)) => Err(Failure::from_service(error)),
        None => Err(Failure::fault("the service answered nothing")),
    }
}

/// An event for people: `2030-01-31T18:30:00.000Z 17 <order> order-advanced 2 PAID`.
fn words(event: &LoggedEvent) -> String {
    let about = if event.order.is_empty() {
        &event.stream
    } else {
        &event.order
    };
    let mut line = format!("{} {} {about} {}", time(event), event.position, event.kind);
    let version = (event.version > 0).then(|| event.version.to_string());
    for word in [version.as_deref(), status(event), reason(event)]
        .into_iter()
        .flatten()
    {
        line = format!("{line} {word}");
    }
    if !event.actor.is_empty() {
        line = format!("{line} by {}", event.actor);
    }
    line
}

fn object(event: &LoggedEvent) -> Value {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "at": time(event),
        "position": event.position,
        "cursor": event.cursor,
        "id": event.id,
        "kind": event.kind,
        "stream": event.stream,
        "order": given(&event.order),
        "version": (event.version > 0).then_some(event.version),
        "status": status(event),
        "reason": reason(event),
        "actor": given(&event.actor),
    })
}

fn time(event: &LoggedEvent) -> String {
    let at = event.recorded_at.as_ref().and_then(time_from_wire);
    let milliseconds =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    at.unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(milliseconds)
        .unwrap_or_default()
}

fn status(event: &LoggedEvent) -> Option<&'static str> {
    word(event.status().as_str_name().strip_prefix("ORDER_STATUS_"))
}

fn reason(event: &LoggedEvent) -> Option<&'static str> {
    word(event.reason().as_str_name().strip_prefix("REASON_"))
}

/// The name of a value, unless it is that there is none.
fn word(name: Option<&'static str>) -> Option<&'static str> {
    name.filter(|name| *name != "UNSPECIFIED")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_without_what_it_does_not_have() {
        let started = LoggedEvent {
            position: 17,
            recorded_at: Some(tiffin_proto::timestamp(
                time::macros::datetime!(2030-01-31 18:30:00.123456 UTC),
            )),
            kind: "order-cancelled".to_owned(),
            stream: "order-x".to_owned(),
            order: "x".to_owned(),
            version: 3,
            status: 6,
            reason: 1,
            actor: "web".to_owned(),
            ..LoggedEvent::default()
        };
        assert_eq!(
            words(&started),
            "2030-01-31T18:30:00.123Z 17 x order-cancelled 3 CANCELLED CANCELLED_BY_CUSTOMER by web"
        );
        let defined = LoggedEvent {
            stream: "workflow-y".to_owned(),
            order: String::new(),
            kind: "workflow-defined".to_owned(),
            version: 0,
            status: 0,
            reason: 0,
            actor: String::new(),
            ..started
        };
        assert_eq!(
            words(&defined),
            "2030-01-31T18:30:00.123Z 17 workflow-y workflow-defined"
        );
        assert_eq!(object(&defined)["version"], Value::Null);
    }
}
