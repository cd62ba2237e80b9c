//! `tiffin order get`.

use clap::Args;
use serde_json::{Value, json};

use super::{found, word, words};
use crate::{failure::Failure, output, server::Server};

const GET: &str = "query Get($id: ID!) {
  order(id: $id) {
    id status version reason createdAt updatedAt products { name quantity }
    timeline { version status at actor reason note }
  }
}";

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    server: Server,
    /// The order's id.
    id: String,
}

pub(super) async fn run(settings: Settings, json: bool) -> Result<(), Failure> {
    let mut data = settings.server.run(GET, &json!({ "id": settings.id })).await?;
    let order = found(data["order"].take(), &settings.id)?;
    output::line(if json { order.to_string() } else { describe(&order) })
}

/// The order for people: what it is, what is in it, what happened to it.
fn describe(order: &Value) -> String {
    let items = |name: &str| order[name].as_array().cloned().unwrap_or_default();
    let product = |it: Value| format!("  {} x {}", it["quantity"], word(&it["name"]));
    let change = |it: Value| words(&it, &["version", "at", "status", "reason", "actor", "note"]);
    let mut lines = vec![words(order, &["id", "status", "reason"])];
    lines.extend(items("products").into_iter().map(product));
    lines.extend(items("timeline").into_iter().map(change));
    lines.join("\n")
}
