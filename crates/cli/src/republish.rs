//! `tiffin republish`: has events published once more, for whoever lost them.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tiffin_proto::v1::{
    RepublishRequest, RepublishResponse, Republishing, republish_response::Result as Published,
};

use crate::{
    connection::Connection,
    failure::Failure,
    operations::{Nats, Operations},
    output,
    progress::bar,
};

/// How long to wait before the service is asked again after a failure.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    nats: Nats,
    /// What they are published under: 1 to 64 letters, digits, - and _, not used in the last day.
    name: String,
    /// Begins with the events since a time such as 2026-01-31T18:30:00Z, after a cursor that `tiffin events tail` showed,
    /// or with `start`.
    #[arg(long, value_name = "CURSOR|TIME|start", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    from: String,
    /// Only the events of this order.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    order: String,
}

pub(crate) async fn run(settings: Settings, json: bool) -> Result<(), Failure> {
    let operations = settings.nats.connect().await?;
    let begun = Instant::now();
    let first = RepublishRequest {
        name: settings.name,
        from: settings.from,
        after: String::new(),
        order: settings.order,
        messages: 0,
    };
    let last = publish(&operations, first, json).await?;
    let seconds = begun.elapsed().as_secs_f64();
    output::line(if json {
        let Republishing {
            messages,
            stream,
            subjects,
            ..
        } = last;
        json!({ "stream": stream, "subjects": subjects, "messages": messages, "seconds": seconds })
            .to_string()
    } else {
        format!(
            "{} messages are in the stream {} on {} after {seconds:.1} s",
            last.messages, last.stream, last.subjects
        )
    })
}

/// Has page after page published until what was in the log at the beginning is. A service that is away for a moment is
/// waited for.
async fn publish(
    operations: &Operations,
    mut request: RepublishRequest,
    json: bool,
) -> Result<Republishing, Failure> {
    let mut reached = ask(operations, &request).await?;
    let (from, end) = (reached.position, reached.of);
    request.from.clear();
    let bar = bar(json);
    bar.set_length(end.saturating_sub(from));
    let mut connection = Connection::new(json);
    connection.is_there();
    while reached.position < end {
        request.after.clone_from(&reached.cursor);
        request.messages = reached.messages;
        match ask(operations, &request).await {
            Ok(further) => {
                reached = further;
                bar.suspend(|| connection.is_there());
                bar.set_position(reached.position.min(end).saturating_sub(from));
            }
            Err(failure) => {
                bar.suspend(|| connection.lost(failure))?;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    bar.finish_and_clear();
    Ok(reached)
}

async fn ask(operations: &Operations, request: &RepublishRequest) -> Result<Republishing, Failure> {
    let answer: RepublishResponse = operations.ask("orders.events.republish", request).await?;
    match answer.result {
        Some(Published::Republishing(republishing)) => Ok(republishing),
        Some(Published::Error(error)) => Err(Failure::from_service(error)),
        None => Err(Failure::fault("the service answered nothing")),
    }
}
