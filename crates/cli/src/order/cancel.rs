//! `tiffin order cancel`.

use clap::Args;
use serde_json::json;

use super::words;
use crate::{failure::Failure, output, server::Server};

const CANCEL: &str = "mutation Cancel($input: CancelOrderInput!) {
  cancelOrder(input: $input) { id status version reason updatedAt }
}";

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    server: Server,
    /// The order's id.
    id: String,
    /// A note for the order's timeline.
    #[arg(long)]
    note: Option<String>,
}

pub(super) async fn run(settings: Settings, json: bool) -> Result<(), Failure> {
    let variables = json!({ "input": { "id": settings.id, "note": settings.note } });
    let mut data = settings.server.run(CANCEL, &variables).await?;
    let order = data["cancelOrder"].take();
    output::line(if json {
        order.to_string()
    } else {
        words(&order, &["id", "status", "reason"])
    })
}
